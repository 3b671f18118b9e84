"""Arrays as volumes and signals: where their channels are, which values a model can be given."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from onnxcam.errors import VolumeError

LARGEST = 2**29
"""Values that one volume or signal may have: 2 GiB as float32, 512 x 512 x 2048 voxels."""

_AXES = {1: "L", 3: "D, H, W"}
_KINDS = {1: "Signal", 3: "Volume"}
"""By the number of spatial axes."""


def refuse_large(shape: tuple[int, ...], name: str) -> None:
    """`VolumeError` for what is better refused than read until the memory is full."""
    count = math.prod(shape)
    if count > LARGEST:
        sizes = " x ".join(str(size) for size in shape)
        raise VolumeError(
            f"{name}: {sizes} is {count:,} values, more than {LARGEST:,}; crop or resample it first"
        )


def channels_last(array: np.ndarray, spatial: int, channels: int, name: str) -> np.ndarray:
    """An array of any usual layout as (*spatial, channels).

    Takes `spatial` axes alone (one channel), with the channels before or behind them, and with a
    batch of one in front of both. Raises `VolumeError` where no layout fits, or two do.
    """
    axes = _AXES[spatial]
    whole = array.shape
    if array.ndim == spatial + 2:
        if whole[0] != 1:
            raise VolumeError(f"{name}: a batch of {whole[0]}, {whole}; give one at a time")
        array = array[0]
    if array.ndim == spatial:
        in_front, behind = False, channels == 1
        array = array[..., None]
    elif array.ndim == spatial + 1:
        in_front, behind = array.shape[0] == channels, array.shape[-1] == channels
    else:
        raise VolumeError(f"{name}: shape {whole}; give ({axes}), ({axes}, C) or (C, {axes})")
    if in_front and behind:
        alone = f"({axes}) or " if channels == 1 else ""
        raise VolumeError(
            f"{name}: the channels ({channels}) may be in front or behind in {whole}; "
            f"give {alone}a {_KINDS[spatial]} made by hand, ({axes}, C)"
        )
    if not (in_front or behind):
        raise VolumeError(
            f"{name}: no axis of {whole} has the model's {channels} "
            f"channel{'s' * (channels != 1)}; give ({axes}, {channels})"
        )
    return np.moveaxis(array, 0, -1) if in_front else array


def as_array(values: object, name: str) -> np.ndarray:
    """What a caller gives, as an array; `VolumeError` when it is none."""
    try:
        return np.asarray(values)
    except Exception as error:  # ragged lists, tensors on another device, whatever has __array__
        raise VolumeError(f"{name}: not an array ({error}); give a NumPy array") from None


def as_values(array: np.ndarray, name: str) -> NDArray[np.float32]:
    """Real numbers as float32, in C order.

    Raises `VolumeError` when there are none, too many, other than real numbers, NaN or infinities
    among them, or all of them equal.
    """
    if array.dtype.kind not in "biuf":
        held = "Python objects" if array.dtype.hasobject else f"{array.dtype} values"
        raise VolumeError(f"{name}: {held}; give real numbers (float32, float64 or integers)")
    if not array.size:
        raise VolumeError(f"{name}: empty, its shape is {array.shape}")
    refuse_large(array.shape, name)
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        values = np.ascontiguousarray(array, np.float32)
        low, high = values.min(), values.max()  # NaN if there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = values.size - np.count_nonzero(np.isfinite(values))
        raise VolumeError(
            f"{name}: {bad:,} of {values.size:,} values are NaN or infinite as float32; "
            "replace them first (numpy.nan_to_num)"
        )
    if low == high:
        raise VolumeError(f"{name}: every value is {low:g}; there is nothing to explain")
    return values
