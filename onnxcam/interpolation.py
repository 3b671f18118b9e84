"""Interpolation of values in hand, along one axis after the other."""

from __future__ import annotations

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
    for axis, one in zip(range(-len(weights), 0), weights, strict=True):
        values = _along(values, one, axis)
    return np.ascontiguousarray(values)


_FEW = 4
"""Samples that a new one is made of, up to which they are added up one by one."""


def _along(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """The values by the weights (old, new) of one axis.

    A new sample is made of two old ones, or four, of hundreds: a product of matrices would be
    spent on zeros.
    """
    old, new = weights.shape
    used = weights != 0
    first = used.argmax(axis=0)
    last = np.where(used.any(axis=0), old - 1 - used[::-1].argmax(axis=0), -1)
    span = int((last - first).max(initial=-1)) + 1
    if span > _FEW or old <= _FEW:
        return np.asarray(np.moveaxis(np.moveaxis(values, axis, -1) @ weights, -1, axis))
    shape = [1] * values.ndim
    shape[axis] = new
    total = np.zeros((), values.dtype)
    for tap in range(max(span, 1)):
        at = np.minimum(first + tap, old - 1)
        weight = np.where(first + tap <= last, weights[at, np.arange(new)], 0)
        total = total + np.take(values, at, axis) * weight.astype(weights.dtype).reshape(shape)
    return np.asarray(total)


def enlarged(values: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Values (..., *their size) at another size, however many axes that has: (..., *size).

    Smaller is possible too, but not smoothed. The element type of floats stays.
    """
    own = values.shape[values.ndim - len(size) :]
    weights = [linear_weights(old, new) for old, new in zip(own, size, strict=True)]
    return interpolated(values, weights)
