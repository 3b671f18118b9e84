"""Interpolation of values in hand, along one axis after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

KERNELS = ("linear", "cubic", "nearest")


def linear_weights(old: int, new: int) -> np.ndarray:
    """What each of `old` samples counts in each of `new` ones, float32 (old, new).

    Positions are the middles of pixels, and beyond the outermost ones the value stays: OpenCV's
    INTER_LINEAR, ONNX's half_pixel, PyTorch's `align_corners=False`.
    """
    return weights_at((np.arange(new) + 0.5) * old / new - 0.5, old)


def area_weights(old: int, new: int) -> np.ndarray:
    """The mean over what of the old samples each new one covers: OpenCV's INTER_AREA."""
    starts = np.arange(new) * old / new
    before = np.arange(old)[:, None]
    shared = np.minimum(before + 1, starts + old / new) - np.maximum(before, starts)
    return (np.maximum(0, shared) * new / old).astype(np.float32)


def corner_weights(old: int, new: int) -> np.ndarray:
    """The same with the first and the last sample of each at the same place, float32 (old, new).

    ONNX's align_corners, PyTorch's `align_corners=True`.
    """
    return weights_at(np.linspace(0, old - 1, new), old)


def weights_at(places: np.ndarray, old: int, kernel: str = "linear") -> np.ndarray:
    """What each of `old` samples counts at each of the places, float32 (old, places).

    Sample i is at place i; beyond the outermost ones the value stays. `kernel` is one of
    `KERNELS`; "cubic" is Keys' with a = -0.75, as OpenCV's INTER_CUBIC.
    """
    first = np.floor(places + 0.5 if kernel == "nearest" else places).astype(int)
    share = places - first
    taps = {"nearest": _nearest, "linear": _linear, "cubic": _cubic}[kernel](share)
    weights = np.zeros((old, len(places)), np.float64)
    for tap, weight in taps.items():
        np.add.at(weights, (np.clip(first + tap, 0, old - 1), np.arange(len(places))), weight)
    return weights.astype(np.float32)


def _nearest(share: np.ndarray) -> dict[int, np.ndarray]:
    return {0: np.ones_like(share)}


def _linear(share: np.ndarray) -> dict[int, np.ndarray]:
    return {0: 1 - share, 1: share}


def _cubic(share: np.ndarray, a: float = -0.75) -> dict[int, np.ndarray]:
    def near(x: np.ndarray) -> np.ndarray:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: np.ndarray) -> np.ndarray:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return {-1: far(1 + share), 0: near(share), 1: near(1 - share), 2: far(2 - share)}


def interpolated(values: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Values (..., *size) by the weights (old, new) of each of their last axes: (..., *new size).

    The element type of floats stays.
    """
    # The last axis first: what grows is then written row by row.
    for axis, one in zip(range(-1, -len(weights) - 1, -1), reversed(weights), strict=True):
        values = _along(values, one, axis)
    return np.ascontiguousarray(values)


_BLOCK, _LEAST = 1 << 13, 16
"""New values made at once, and new samples at least: few enough to stay in the cache, and for BLAS
to keep to one thread. Its others would wait for cores that run models, read and write meanwhile."""


def _along(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """The values by the weights (old, new) of one axis, -1 being the last.

    A new sample is made of two old ones, or four, of hundreds: a product with the whole matrix
    would be spent on zeros, so it is done block by block along its band.
    """
    place = values.ndim + axis
    before, old, after = values.shape[:place], values.shape[place], values.shape[place + 1 :]
    table = values.reshape(math.prod(before), old, math.prod(after))
    new = weights.shape[1]
    made = np.empty((len(table), new, table.shape[-1]), np.result_type(values, weights))
    step = max(_LEAST, _BLOCK // max(1, len(table) if axis == -1 else table.shape[-1]))
    for start in range(0, new, step):
        block = weights[:, start : start + step]
        used = np.flatnonzero(block.any(axis=1))
        band = slice(used[0], used[-1] + 1) if used.size else slice(0)
        part = made[:, start : start + step]
        if axis == -1:  # one product of matrices, not one with a column each
            np.matmul(table[:, band, 0], block[band], out=part[..., 0])
        else:
            np.matmul(block[band].T, table[:, band], out=part)
    return made.reshape(*before, new, *after)


def enlarged(values: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Values (..., *their size) at another size, however many axes that has: (..., *size).

    Smaller is possible too, but not smoothed. The element type of floats stays.
    """
    own = values.shape[values.ndim - len(size) :]
    weights = [linear_weights(old, new) for old, new in zip(own, size, strict=True)]
    return interpolated(values, weights)
