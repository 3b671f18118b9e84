"""Directional differences of a model's outputs, at points where it is smooth.

A function is asked at x, x + h v and x - h v. Where the two one-sided slopes disagree, x lies on
a kink (`relu` at 0, a tie of a maximum) or a step, or the function was computed too coarsely; then
the point is moved a little, and if no point helps, the next way to compute the function is tried.
None of this looks at the gradient that is to be judged.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from autodiff.floats import FLOATS, with_floats
from autodiff.numeric import NEWEST
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

Arrays = dict[str, np.ndarray]
Forward = Callable[[Arrays], list[np.ndarray]]

_MOVES = (0.11, -0.11, 0.37, -0.037)
"""Moves off kinks, tried one after the other, as shares of the input's typical size."""

_HUGE, _TINY = 1e9, 1e-6
"""Some tests were recorded with uninitialised memory; such values are replaced."""


def ort_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def at_newest(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, at the newest opset that ONNX Runtime knows where it has a newer one.

    Most operators mean the same there; whether they do, the outputs have to tell.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = min(model.ir_version, 10)
    for opset in copy.opset_import:
        opset.version = opset.version if opset.domain else min(opset.version, NEWEST)
    return copy


def is_differentiable(value: np.ndarray) -> bool:
    try:
        return helper.np_dtype_to_tensor_dtype(value.dtype) in FLOATS
    except (KeyError, ValueError):
        return False


def cast_floats(feeds: Arrays, dtype: type) -> Arrays:
    return {k: np.asarray(v, dtype if is_differentiable(v) else None) for k, v in feeds.items()}


@dataclass(frozen=True)
class Oracle:
    """One way to compute a model, how far apart its differences are taken, and their error."""

    engine: str
    precision: str
    forward: Forward
    step: float
    tolerance: float

    @property
    def name(self) -> str:
        """As findings say it."""
        return f"{self.engine}, {self.precision}"


_ENGINES: tuple[tuple[str, Callable[[onnx.ModelProto], Any]], ...] = (
    ("ONNX Runtime", lambda model: ort_session(at_newest(model))),
    ("reference", ReferenceEvaluator),
)
_PRECISIONS = (
    (TensorProto.DOUBLE, np.float64, 1e-6, 1e-6),
    (TensorProto.FLOAT, np.float32, 2.0**-7, 3e-3),
)


def oracles(model: onnx.ModelProto, outputs: Sequence[str]) -> Iterator[Oracle]:
    """From the most to the least precise: element type, step and tolerance of each."""
    for elem_type, dtype, step, tolerance in _PRECISIONS:
        converted = with_floats(model, elem_type)
        for name, engine in _ENGINES:
            try:
                runner = engine(converted)
            except Exception:  # an operator or a type that it does not know, whatever it raises
                continue

            def run(feeds: Arrays, runner: Any = runner, dtype: Any = dtype) -> list[np.ndarray]:
                found = runner.run(list(outputs), cast_floats(feeds, dtype))
                return [np.asarray(y) for y in found]

            yield Oracle(name, np.dtype(dtype).name, run, step, tolerance)


# -- points -----------------------------------------------------------------------------------


def seed_of(*words: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def points(name: str, feeds: Arrays, wrt: str) -> Iterator[tuple[str, Arrays]]:
    """The test's own inputs, then inputs near them, each with what was done to them.

    All floats are moved, by different amounts each, then only the one in question; at last the
    signs are dropped (roots, powers, logarithms). Values that are no number are always replaced.
    """
    floats = [k for k, v in feeds.items() if is_differentiable(v)]
    yield "", _moved_all(name, feeds, floats, (), 0.0)
    for chosen in (floats, [wrt]) if len(floats) > 1 else (floats,):
        for share in _MOVES:
            yield f"moved by {share:+}", _moved_all(name, feeds, floats, chosen, share)
    positive = {k: np.asarray(np.abs(v), v.dtype) if k in floats else v for k, v in feeds.items()}
    yield "made positive", _moved_all(name, positive, floats, floats, _MOVES[0])


def _moved_all(
    name: str, feeds: Arrays, floats: Sequence[str], chosen: Sequence[str], share: float
) -> Arrays:
    moved = {k: _moved(feeds[k], share if k in chosen else 0.0, seed_of(name, k)) for k in floats}
    return feeds | moved


def _moved(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    wide = x.astype(np.float64)
    wide = np.where(np.abs(wide) < _HUGE, wide, rng.uniform(0.5, 1.5, x.shape))
    size = scale_of(wide)
    return np.asarray(wide + share * size * rng.uniform(0.5, 1.0, x.shape), x.dtype)


def as_numbers(y: np.ndarray) -> np.ndarray:
    """In float64, with infinity for the largest float32, which masks use in its stead."""
    wide = np.asarray(y).astype(np.float64)
    return np.where(np.abs(wide) > 1e30, np.copysign(np.inf, wide), wide)


def same_outputs(
    found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], precision: float
) -> bool:
    """Whether outputs are the same, up to what the tests themselves allow."""
    tolerance = max(1e-3, 2 * precision) if precision else 0.0
    for got, want in zip(found, wanted, strict=True):
        y, expected = as_numbers(got), as_numbers(want)
        if y.shape != expected.shape:
            return False
        size = np.abs(expected[np.isfinite(expected)]).max(initial=0)
        if not np.allclose(y, expected, tolerance, tolerance * size, equal_nan=True):
            return False
    return True


def scale_of(x: np.ndarray) -> float:
    """The typical size of values; 1 where they are larger, or next to nothing."""
    size = float(np.median(np.abs(x.astype(np.float64)))) if x.size else 1.0
    return size if _TINY < size < 1.0 else 1.0


# -- differences ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slope:
    """The derivative of a weighted sum of outputs along one direction of an input."""

    direction: np.ndarray
    value: float


def weights_for(name: str, outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Random weights of every output's elements, exact in half precision; 0 for what is infinite.

    Their size does not vary much, so that no element's share gets lost.
    """
    rng = seed_of(name, "weights")
    found = []
    for y in outputs:
        values = rng.integers(2, 9, y.shape) / 8 * rng.choice([-1, 1], y.shape)
        found.append(np.where(np.isfinite(as_numbers(y)), values, 0.0))
    return found


def directions(name: str, x: np.ndarray, dense: int, single: int) -> list[np.ndarray]:
    """Some that move every element, then single elements; all of them where they are few."""
    rng = seed_of(name, "directions")
    found = [
        rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape) for _ in range(dense)
    ]
    count = min(x.size, single)
    for index in rng.permutation(x.size)[:count]:
        unit = np.zeros(x.size)
        unit[index] = 1.0
        found.append(unit.reshape(x.shape))
    return found


def slopes(
    oracle: Oracle,
    feeds: Arrays,
    wrt: str,
    weights: Sequence[np.ndarray],
    along: Sequence[np.ndarray],
) -> list[Slope] | None:
    """The derivatives along some directions; None where the function is not smooth there."""
    x = feeds[wrt].astype(np.float64)
    step = oracle.step * scale_of(x)

    def loss(v: np.ndarray, h: float) -> float:
        total = 0.0
        for y, w in zip(oracle.forward(feeds | {wrt: x + h * v}), weights, strict=True):
            if y.shape != w.shape:
                return np.nan
            total += float((np.where(w == 0, 0, y.astype(np.float64)) * w).sum())
        return total

    if oracle.step < 1e-3:
        return _fine_slopes(loss, along, step)
    return _coarse_slopes(loss, along, step)


def _fine_slopes(
    loss: Callable[[np.ndarray, float], float], along: Sequence[np.ndarray], h: float
) -> list[Slope] | None:
    """In float64: smooth where the one-sided differences agree.

    Their steps have no simple ratio, so that neither steps of the function cancel (those of `sign`
    at 0) nor its rounding, where it is computed in float32 in between.
    """
    here = loss(along[0], 0.0)
    largest = 0.0
    found = []
    for v in along:
        right, left = (loss(v, h) - here) / h, (here - loss(v, -0.37 * h)) / (0.37 * h)
        value = (right + left) / 2
        largest = max(largest, abs(value))
        if not abs(right - left) <= 1e-4 * largest + 1e-7 * (1 + abs(here)):
            return None
        found.append(Slope(v, value))
    return found


def _coarse_slopes(
    loss: Callable[[np.ndarray, float], float], along: Sequence[np.ndarray], h: float
) -> list[Slope] | None:
    """In float32: extrapolated from two steps; smooth where those agree and the bend shrinks."""
    here = loss(along[0], 0.0)
    largest = 0.0
    found = []
    for v in along:
        far, near = [(loss(v, s) - loss(v, -s)) / (2 * s) for s in (h, h / 2)]
        bends = [abs(loss(v, s) - 2 * here + loss(v, -s)) / s for s in (h, h / 2)]
        largest = max(largest, abs(near))
        noise = 1e-6 * (1 + abs(here)) / h
        kinked = bends[1] > 0.75 * bends[0] and bends[1] > 5e-3 * largest + noise
        if kinked or not abs(far - near) <= 5e-3 * largest + noise:
            return None
        found.append(Slope(v, (4 * near - far) / 3))
    return found
