"""Signals: what a model of one spatial axis is given, from NumPy and text files, or arrays."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxcam.array_files import read_array, reading
from onnxcam.arrays import as_array, as_values, channels_last
from onnxcam.errors import VolumeError

_NUMPY, _TEXT = (".npy", ".npz"), (".csv", ".txt")
_RANKS = (1, 2, 3)

READABLE = (*_NUMPY, *_TEXT)
"""Endings of files that `read_signal` takes."""

_SEPARATORS = (",", ";", "\t")
_COMMENT = "#"
_NAMED = 8
"""Columns that an error names."""


@dataclass(frozen=True, eq=False)
class Signal:
    """Values float32 (L, C): samples, channels. Raises `VolumeError` for other shapes and types."""

    values: NDArray[np.float32] = field(repr=False)
    path: str | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32 or not self.values.size:
            raise VolumeError(
                f"a signal of {self.values.dtype} {self.values.shape}; "
                "give float32 (L, C), or use as_signal"
            )

    @property
    def size(self) -> tuple[int]:
        """(L,)."""
        return (len(self.values),)


def read_signal(path: str | os.PathLike[str], channels: int = 1) -> Signal:
    """Read a signal of as many channels as the model takes.

    A .npy or .npz (one array of 1 to 3 axes), or a .csv or .txt of numbers, one row a sample:
    separated by commas, semicolons, tabs or spaces, perhaps with a row of names first and
    comments behind `#`. Raises `VolumeError`.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if path.is_dir() or (ending not in READABLE and path.exists()):
        raise VolumeError(f"{path}: not a signal that can be read; use {', '.join(READABLE)}")
    array = _table(path, channels) if ending not in _NUMPY else read_array(path, _RANKS)
    return Signal(_with_channels_last(array, channels, str(path)), str(path))


def as_signal(array: np.ndarray, channels: int = 1) -> Signal:
    """An array of real numbers (L,), (L, C) or (C, L), or a batch of one of them.

    C are the `channels` of the model. Raises `VolumeError`, also where the channels may be in front
    or behind: a `Signal` made by hand says it.
    """
    return Signal(_with_channels_last(as_array(array, "signal"), channels, "signal"))


def _with_channels_last(array: np.ndarray, channels: int, name: str) -> NDArray[np.float32]:
    return as_values(channels_last(array, 1, channels, name), name)


def _table(path: Path, channels: int) -> np.ndarray:
    """The numbers of a text file, (rows, columns)."""
    with reading(path):
        text = path.read_text(encoding="utf-8-sig")
    lines = [line.split(_COMMENT)[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    names = [name.strip(" \"'") for name in lines[0].split(_separator(lines[0]))] if lines else []
    titled = not any(map(_is_number, names))
    rows = lines[titled:]
    if not rows:
        raise VolumeError(f"{path}: no numbers in it")
    try:
        table = np.loadtxt(rows, np.float64, delimiter=_separator(rows[0]), ndmin=2)
    except ValueError as error:
        raise VolumeError(f"{path}: {error}; one row a sample, numbers like 0.5 alone") from None
    if titled and table.shape[1] != channels and table.shape[0] != channels:
        held = ", ".join(names[:_NAMED]) + ", .." * (len(names) > _NAMED)
        raise VolumeError(
            f"{path}: {table.shape[1]} columns ({held}), the model takes {channels} "
            f"channel{'s' * (channels != 1)}; keep its columns alone"
        )
    return table


def _separator(line: str) -> str | None:
    """None for spaces."""
    return next((mark for mark in _SEPARATORS if mark in line), None)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
