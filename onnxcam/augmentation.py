"""Changed copies of a picture that should be explained alike."""

from __future__ import annotations

import numpy as np

from onnxcam.errors import TargetError
from onnxcam.graph.picture import ImageInput
from onnxcam.methods.maps import resized, unit_range
from onnxcam.runtime import Arrays
from onnxcam.targets import Target

FACTORS = (0.9, 1.0, 1.1)
"""What the numbers that the model is fed are multiplied by."""


def changed(feeds: Arrays, image: ImageInput, mirrored: bool, factor: float) -> Arrays:
    """The feeds with every picture multiplied, and mirrored left to right if asked for."""
    x = feeds[image.name]
    if mirrored:
        x = np.flip(x, -2 if image.channels_last else -1)
    if factor != 1:
        scaled = x.astype(np.float32) * np.float32(factor)
        if x.dtype.kind in "iu":
            limits = np.iinfo(x.dtype)
            scaled = np.clip(np.rint(scaled), limits.min, limits.max)
        x = scaled.astype(x.dtype)
    return feeds | {image.name: np.ascontiguousarray(x)}


def in_picture(raw: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Raw maps (N, K, ...) as heatmaps of the picture's size, each from 0 to 1."""
    return unit_range(resized(unit_range(np.maximum(raw, 0)), size))


def picture_size(image: ImageInput, feeds: Arrays) -> tuple[int, ...]:
    """Spatial size of the pictures that are fed."""
    shape = feeds[image.name].shape
    return tuple(shape[1:-1] if image.channels_last else shape[2:])


def require_placeless(target: Target) -> None:
    """Raise `TargetError` for a target that would have to be mirrored with the picture."""
    if target.is_placed:
        raise TargetError(
            "smoothing over augmentations mirrors the picture, and this target is tied to a "
            "place in it; explain a class, or leave the smoothing out"
        )
