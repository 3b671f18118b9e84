"""NumPy's files: an array, and in an .npz perhaps the affine beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxcam.array_files import read_array, reading, writing

_RANKS = (3, 4, 5)


def read(path: Path) -> np.ndarray:
    """The array as stored, in any layout; raises `VolumeError`."""
    return read_array(path, _RANKS)


def read_affine(path: Path) -> NDArray[np.float64] | None:
    """The array `affine` of an .npz; None where there is none of shape (4, 4)."""
    if path.suffix.lower() != ".npz":
        return None
    with reading(path), np.load(path, allow_pickle=False) as archive:
        if "affine" not in archive.files or archive["affine"].shape != (4, 4):
            return None
        return np.asarray(archive["affine"], np.float64)


def write_npy(path: Path, values: NDArray[np.float32], affine: NDArray[np.float64] | None) -> None:
    """The values alone: a .npy has no place for the affine."""
    with writing(path) as stream:
        np.save(stream, values)


def write_npz(path: Path, values: NDArray[np.float32], affine: NDArray[np.float64] | None) -> None:
    """Arrays `values` and, when known, `affine`."""
    known = {} if affine is None else {"affine": affine}
    with writing(path) as stream:
        np.savez_compressed(stream, values=values, **known)  # type: ignore[arg-type]
