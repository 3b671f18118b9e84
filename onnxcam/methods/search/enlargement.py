"""Small masks made as large as a picture, by linear interpolation along every axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def corner_to_corner(length: int, to: int) -> np.ndarray:
    """Interpolation from `length` points to `to`, the first and last of each at the same place
    (PyTorch: `align_corners=True`): a matrix (to, length)."""
    return _between(np.linspace(0, length - 1, to), length)


def side_to_side(length: int, to: int) -> np.ndarray:
    """Interpolation from `length` cells to `to`, both tiling the same stretch (PyTorch:
    `align_corners=False`, OpenCV: `INTER_LINEAR`): a matrix (to, length)."""
    places = (np.arange(to) + 0.5) * length / to - 0.5
    return _between(places.clip(0, length - 1), length)


def _between(places: np.ndarray, length: int) -> np.ndarray:
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, length - 1)
    rows = np.arange(len(places))
    matrix = np.zeros((len(places), length), np.float32)
    matrix[rows, low] += 1 - (places - low)
    matrix[rows, high] += places - low
    return matrix


def enlarged(maps: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Maps (n, *size) interpolated along each axis by its matrix, float32 (n, *new size).

    Maps of fewer axes than there are matrices are constant along the first ones.
    """
    missing = len(matrices) - (maps.ndim - 1)
    maps = maps.reshape(len(maps), *[1] * missing, *maps.shape[1:])
    for axis, matrix in enumerate(matrices, start=1):
        maps = np.moveaxis(np.moveaxis(maps, axis, -1) @ matrix.T, -1, axis)
    return np.ascontiguousarray(maps, np.float32)
