"""How far a runtime's outputs are from ONNX Runtime's on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conformance.exchange import Answer, Arrays

TOLERANCE = 1e-3
"""Largest difference over the largest absolute value expected."""

LEEWAY = 3.0
"""Multiple of an output's drift that another runtime may be off by."""


@dataclass(frozen=True)
class Expected:
    """What should come out, and how far it moves by itself, output by output.

    `drift` is the difference that rounding makes within ONNX Runtime: another order of the same
    sums, or an input off by a few roundings, can flip a ReLU, a maximum or an 8-bit step.
    """

    outputs: Arrays
    drift: dict[str, float]

    def tolerance(self, name: str) -> float:
        return max(TOLERANCE, LEEWAY * self.drift.get(name, 0.0))


@dataclass(frozen=True)
class Outcome:
    """A job's verdict: `worst` over its outputs, and in words why it fails, if it does.

    `adrift` says that it passes only because the outputs move by themselves.
    """

    worst: float
    failure: str = ""
    adrift: bool = False

    @property
    def passed(self) -> bool:
        return not self.failure


def difference(expected: np.ndarray, got: np.ndarray) -> float:
    """max |got - expected| / max |expected|; infinite where shapes or NaNs disagree."""
    if expected.shape != got.shape:
        return np.inf
    a, b = expected.astype(np.float64), got.astype(np.float64)
    if (np.isfinite(a) != np.isfinite(b)).any():
        return np.inf
    finite = np.isfinite(a)
    if not finite.any():
        return 0.0
    off = float(np.abs(a[finite] - b[finite]).max())
    scale = float(np.abs(a[finite]).max())
    return off / scale if scale else (np.inf if off else 0.0)


def expected(answer: Answer, others: Sequence[Answer]) -> Expected:
    """What ONNX Runtime says, its drift measured by what it says `others` to be."""
    drift = {
        name: max((difference(value, each.outputs[name]) for each in others), default=0.0)
        for name, value in answer.outputs.items()
    }
    return Expected(answer.outputs, {k: v if np.isfinite(v) else 0.0 for k, v in drift.items()})


def outcome(right: Expected, answer: Answer) -> Outcome:
    """Whether a runtime's outputs are the expected ones, by name."""
    if answer.error:
        return Outcome(np.inf, answer.error)
    missing = sorted(set(right.outputs) - set(answer.outputs))
    if missing:
        return Outcome(np.inf, f"no output {', '.join(missing)}")
    off = {name: difference(value, answer.outputs[name]) for name, value in right.outputs.items()}
    worst = max(off.values())
    wrong = [name for name in off if off[name] > right.tolerance(name)]
    said = [_said(k, right.outputs[k], answer.outputs[k], off[k]) for k in wrong]
    return Outcome(worst, "; ".join(said), adrift=worst > TOLERANCE)


def _said(name: str, expected: np.ndarray, got: np.ndarray, off: float) -> str:
    if expected.shape != got.shape:
        return f"{name} has shape {got.shape} instead of {expected.shape}"
    if not np.isfinite(off):
        return f"{name} is not finite, or not zero, where it should be"
    return f"{name} is off by {off:.1e}"
