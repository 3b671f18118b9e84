"""NIfTI-1 and NIfTI-2 files, plain and gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxcam.array_files import reading, writing
from onnxcam.arrays import as_values, refuse_large
from onnxcam.errors import VolumeError
from onnxcam.volumes.extra import needs_extra
from onnxcam.volumes.volume import Volume

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

_CHUNK = 2**20
_SCANNER = 1
"""NIfTI's code of a world that is the scanner's or the patient's."""

_NIFTI1_LONGEST = 2**15 - 1


def read(path: Path) -> Volume:
    """Values scaled by scl_slope and scl_inter, axes as stored, the affine that nibabel chooses.

    A fourth or fifth axis of more than one is the channels. An affine that cannot be inverted is
    left out. Raises `VolumeError`.
    """
    with needs_extra("nibabel", "NIfTI"):
        import nibabel
    with reading(path), _quiet():
        if not path.stat().st_size:
            raise VolumeError(f"{path}: the file is empty")
        image = nibabel.load(path)  # its header
        if not isinstance(image, nibabel.Nifti1Image):
            raise VolumeError(f"{path}: {type(image).__name__} is not NIfTI; convert it to .nii")
        shape = image.shape
        _refuse_shape(shape, path)
        refuse_large(shape, str(path))
        stored = _unzipped(path, image) if _is_gzipped(path) else np.asanyarray(image.dataobj)
        if stored.dtype.names:  # RGB24 and RGBA32
            stored = np.stack([stored[name] for name in stored.dtype.names], -1)
        affine = np.asarray(image.affine, np.float64)
    channels = max(shape[3:], default=1) * (stored.shape[-1] if stored.ndim > len(shape) else 1)
    values = as_values(stored.reshape(*shape[:3], channels), str(path))
    return Volume(values, affine if _can_be_inverted(affine) else None, str(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """nibabel logs what it mends in a header (steps below zero, unknown codes) to stderr."""
    import logging  # takes longer to import than all else here

    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _is_gzipped(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _unzipped(path: Path, header: Nifti1Image) -> np.ndarray:
    """The values, read to the file's very end: only there does gzip tell that they are damaged."""
    with gzip.open(path) as stream:
        values = np.asanyarray(type(header).from_stream(stream).dataobj)
        while stream.read(_CHUNK):
            pass
    return values


def _can_be_inverted(affine: NDArray[np.float64]) -> bool:
    with np.errstate(all="ignore"):
        return 0 < abs(np.linalg.det(affine[:3, :3])) < np.inf and bool(np.isfinite(affine).all())


def _refuse_shape(shape: tuple[int, ...], path: Path) -> None:
    if len(shape) < 3:
        raise VolumeError(f"{path}: shape {shape} is no volume; three axes are needed")
    if min(shape) < 1:
        raise VolumeError(f"{path}: shape {shape} holds no values; export it again")
    if sum(length > 1 for length in shape[3:]) > 1:
        raise VolumeError(f"{path}: shape {shape} has several axes of volumes; save one volume")


def write_nii(path: Path, values: NDArray[np.float32], affine: NDArray[np.float64] | None) -> None:
    """Values (D, H, W) as float32."""
    data = _encoded(values, affine)
    with writing(path) as stream:
        stream.write(data)


def write_gz(path: Path, values: NDArray[np.float32], affine: NDArray[np.float64] | None) -> None:
    """The same, gzipped; the same bytes every time."""
    data = gzip.compress(_encoded(values, affine), compresslevel=6, mtime=0)
    with writing(path) as stream:
        stream.write(data)


def _encoded(values: NDArray[np.float32], affine: NDArray[np.float64] | None) -> bytes:
    """cal_min and cal_max, what viewers start with, are the range of the values."""
    with needs_extra("nibabel", "NIfTI"):
        import nibabel
    long = max(values.shape) > _NIFTI1_LONGEST
    image = (nibabel.Nifti2Image if long else nibabel.Nifti1Image)(values, np.eye(4))
    if affine is not None:
        image.set_sform(affine, code=_SCANNER)
    finite = values[np.isfinite(values)]
    if finite.size:
        image.header["cal_min"], image.header["cal_max"] = finite.min(), finite.max()
    image.header.set_xyzt_units("mm")
    return bytes(image.to_bytes())
