"""Files of volumes and signals: what goes wrong with them, and NumPy's own formats."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from onnxcam.arrays import refuse_large
from onnxcam.errors import OnnxCamError, VolumeError, one_line

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises `VolumeError` in place of what libraries raise over a file that they cannot read.

    What they warn of meanwhile is not shown: a file is either read, or refused in one line.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OnnxCamError:
        raise
    except FileNotFoundError:
        raise VolumeError(f"{path}: no such file or folder") from None
    except MemoryError:
        raise VolumeError(f"{path}: does not fit into the memory; crop or resample it") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise VolumeError(f"{path}: cannot be read ({error.strerror})") from None
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise VolumeError(
            f"{path}: damaged, or not what its name says ({reason}); copy or export it again"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, with the folders above it; `VolumeError` when that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            yield stream
    except OSError as error:
        raise VolumeError(f"{path}: cannot be written ({error.strerror})") from None


def read_array(path: Path, ranks: Collection[int]) -> np.ndarray:
    """The array of a .npy, or the one of an .npz that has one of the `ranks`; `VolumeError`."""
    with reading(path):
        if path.suffix.lower() == ".npy":
            if not path.stat().st_size:
                raise VolumeError(f"{path}: the file is empty")
            with path.open("rb") as stream:
                return _array(stream, str(path))
        with zipfile.ZipFile(path) as archive:
            member = _chosen(archive, ranks, path)
            with archive.open(member) as entry:
                return _array(entry, f"{path} ({_stem(member)})")  # type: ignore[arg-type]


def _chosen(archive: zipfile.ZipFile, ranks: Collection[int], path: Path) -> str:
    shapes = {}
    for member in archive.namelist():
        if member.endswith(".npy"):
            with archive.open(member) as entry:
                shapes[member], _ = _header(entry)  # type: ignore[arg-type]
    fitting = [member for member, shape in shapes.items() if len(shape) in ranks]
    if len(shapes) == 1:
        return next(iter(shapes))
    if len(fitting) != 1:
        held = ", ".join(f"'{_stem(member)}' {shape}" for member, shape in shapes.items())
        found = f"several arrays may be meant: {held}" if shapes else "no arrays in it"
        raise VolumeError(f"{path}: {found}; save the one to explain as .npy")
    return fitting[0]


def _stem(member: str) -> str:
    return member.removesuffix(".npy")


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:  # 3.0 is for field names in Unicode
        raise VolumeError("the array is a table with named fields; save its numbers alone")
    shape, _, dtype = _HEADERS[version](stream)
    return shape, dtype


def _array(stream: BinaryIO, name: str) -> np.ndarray:
    """Header first: neither what is pickled nor what is too large is read at all."""
    shape, dtype = _header(stream)
    if dtype.hasobject:
        raise VolumeError(
            f"{name}: holds pickled objects, which could run code; save plain numbers"
        )
    refuse_large(shape, name)
    stream.seek(0, os.SEEK_SET)
    return np.lib.format.read_array(stream, allow_pickle=False)
