"""Volumes in and out: NumPy, NIfTI, DICOM and TIFF files, and arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxcam.arrays import as_array, as_values, channels_last
from onnxcam.errors import VolumeError
from onnxcam.volumes import dicom, nifti, npy, tiff
from onnxcam.volumes.volume import Volume

__all__ = ["ENDINGS", "READABLE", "Volume", "as_volume", "read_volume", "write_volume"]

_NUMPY = (".npy", ".npz")
_READERS: dict[str, Callable[[Path], Volume]] = {
    ".nii": nifti.read,
    ".nii.gz": nifti.read,
    ".tif": tiff.read,
    ".tiff": tiff.read,
    ".dcm": dicom.read_file,
}
_WRITERS: dict[str, Callable[[Path, NDArray[np.float32], NDArray[np.float64] | None], None]] = {
    ".npy": npy.write_npy,
    ".npz": npy.write_npz,
    ".nii": nifti.write_nii,
    ".nii.gz": nifti.write_gz,
}

READABLE = (*_NUMPY, *_READERS)
"""Endings of files that `read_volume` takes, besides folders and DICOM files of any name."""

ENDINGS = tuple(_WRITERS)
"""Endings of files that `write_volume` takes."""


def read_volume(path: str | os.PathLike[str], channels: int = 1) -> Volume:
    """Read a volume of as many channels as the model takes.

    A .npy or .npz (one array of 3 to 5 axes), .nii or .nii.gz, a DICOM file or a folder of one
    DICOM series, or a .tif of several pages. Values are those that the file means (rescaled by
    its slope and intercept), axes as stored; a DICOM series is (slices, rows, columns), a TIFF
    (pages, rows, columns). Raises `VolumeError`.
    """
    path = Path(path)
    if path.is_dir():
        return _of_channels(dicom.read_folder(path), channels)
    ending = _ending(path, READABLE)
    if ending in _NUMPY:
        values = _with_channels_last(npy.read(path), channels, str(path))
        return Volume(values, npy.read_affine(path), str(path))
    if ending is None and not path.exists():
        raise VolumeError(f"{path}: no such file or folder")
    if ending is None and not dicom.is_dicom(path):
        raise VolumeError(
            f"{path}: not a volume that can be read; use {', '.join(READABLE)}, or a DICOM folder"
        )
    return _of_channels(_READERS[ending or ".dcm"](path), channels)


def as_volume(array: np.ndarray, channels: int = 1) -> Volume:
    """An array of real numbers (D, H, W), (D, H, W, C) or (C, D, H, W), or a batch of one of them.

    C are the `channels` of the model. Raises `VolumeError`, also where the channels may be in front
    or behind: a `Volume` made by hand says it.
    """
    array = as_array(array, "volume")
    return Volume(_with_channels_last(array, channels, "volume"))


def write_volume(
    path: str | os.PathLike[str],
    values: NDArray[np.float32],
    affine: NDArray[np.float64] | None = None,
) -> None:
    """Write values (D, H, W), or of fewer axes, as float32, in the format that the ending names.

    A .npy, .npz, .nii or .nii.gz; all but .npy keep the affine, voxel to millimetres in RAS+
    (NIfTI has the identity for None). Raises `VolumeError`.
    """
    path = Path(path)
    ending = _ending(path, ENDINGS)
    if ending is None:
        raise VolumeError(f"{path}: cannot write such volumes; use {', '.join(ENDINGS)}")
    values = as_array(values, "volume")
    if not 1 <= values.ndim <= 3 or not values.size or values.dtype.kind not in "biuf":
        raise VolumeError(
            f"{path}: {values.dtype} values of shape {values.shape}; give real numbers (D, H, W)"
        )
    if affine is not None and np.shape(affine) != (4, 4):
        raise VolumeError(f"{path}: an affine of shape {np.shape(affine)}; give (4, 4), or None")
    _WRITERS[ending](path, values.astype(np.float32, copy=False), affine)


def _ending(path: Path, known: tuple[str, ...]) -> str | None:
    """The longest known ending of a path, whatever its case."""
    name = path.name.lower()
    return max((ending for ending in known if name.endswith(ending)), key=len, default=None)


def _with_channels_last(array: np.ndarray, channels: int, name: str) -> NDArray[np.float32]:
    return as_values(channels_last(array, 3, channels, name), name)


def _of_channels(volume: Volume, channels: int) -> Volume:
    held = volume.values.shape[-1]
    if held != channels:
        raise VolumeError(
            f"{volume.path}: {held} channel{'s' * (held != 1)} (colours or time points), "
            f"the model takes {channels}; save those that it was trained on"
        )
    return volume
