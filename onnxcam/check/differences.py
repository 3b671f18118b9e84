"""Central differences along random directions, and how far they can be trusted.

Each direction is tried at several step sizes and the best agreement counts: a wrong rule disagrees
at all of them. In float32 large steps cross the kinks of ReLUs and small ones drown in rounding;
in float64 there is room between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Score = Callable[[np.ndarray], float]

_ROUNDINGS = 4
_RANDOM_DIRECTIONS = 3


@dataclass(frozen=True)
class Direction:
    """One direction: the slope that the gradient gives, that of the differences, and by how much
    neighbouring step sizes differ; the last two relative to the first."""

    expected: float
    measured: float
    error: float
    roughness: float


@dataclass(frozen=True)
class Precision:
    """A floating point type, the steps that suit it, and the disagreement that it may show."""

    name: str
    epsilon: float
    steps: Sequence[float]
    tolerance: float


DOUBLE = Precision("float64", float(np.finfo(np.float64).eps), (1e-4, 1e-5, 1e-6), 5e-3)
SINGLE = Precision(
    "float32", float(np.finfo(np.float32).eps), (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4), 2e-2
)
HALF = Precision("float16", float(np.finfo(np.float16).eps), (1e-1, 3e-2, 1e-2, 3e-3), 5e-2)


def compare(
    score: Score, at: np.ndarray, gradient: np.ndarray, precision: Precision
) -> list[Direction]:
    """The gradient against differences of the score, along random directions and along itself.

    Steps are relative to the root mean square of `at`.
    """
    scale = float(np.sqrt(np.mean(np.square(at, dtype=np.float64)))) or 1.0
    g = gradient.astype(np.float64)
    rng = np.random.default_rng(0)
    directions = [rng.standard_normal(g.shape) for _ in range(_RANDOM_DIRECTIONS)]
    if g.any():
        directions.append(g / np.sqrt(np.mean(g**2)))
    return [_along(score, at, g, v * scale, precision) for v in directions]


def _along(
    score: Score, at: np.ndarray, g: np.ndarray, v: np.ndarray, precision: Precision
) -> Direction:
    expected = float(np.sum(g * v))
    # A random direction can be nearly orthogonal to g; its typical product is the yardstick then.
    typical = float(np.linalg.norm(g) * np.linalg.norm(v) / np.sqrt(g.size))
    unit = max(abs(expected), typical) or 1.0
    slopes, noise = [], []
    for step in precision.steps:
        ends = [score(at + sign * step * v) for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2 * step))
        noise.append(_ROUNDINGS * precision.epsilon * sum(map(abs, ends)) / (2 * step))
    # A step off what the function is defined on gives no number and does not count.
    distance = np.abs(np.array(slopes) - expected)
    best = int(np.argmin(np.where(np.isnan(distance), np.inf, distance)))
    around = np.abs(np.diff(slopes))[max(0, best - 1) : best + 1]
    rough = float(np.fmax(np.fmin.reduce(around), noise[best]))
    return Direction(expected, slopes[best], abs(slopes[best] - expected) / unit, rough / unit)
