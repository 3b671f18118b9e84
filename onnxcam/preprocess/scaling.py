"""Resizing what was read: pictures by OpenCV or Pillow, volumes and signals by their axes."""

from __future__ import annotations

import cv2
import numpy as np

from onnxcam.interpolation import area_weights, interpolated, linear_weights, weights_at

_OPENCV = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_PILLOW = {"pil-nearest": 0, "pil-lanczos": 1, "pil-linear": 2, "pil-cubic": 3}

INTERPOLATIONS = ("area", *_OPENCV, *_PILLOW)
"""Area averaging when it shrinks, else linear; OpenCV's; Pillow's, which smooth when shrinking."""


def scaled(values: np.ndarray, size: tuple[int, ...], interpolation: str) -> np.ndarray:
    """Values (*their size, C) at another size: (*size, C), the element type as it was.

    Pictures are uint8 (H, W, 3). Of volumes and signals (float32) "nearest", "linear", "cubic" and
    "area" are known; the others come down to the nearest of them.
    """
    if values.shape[:-1] == size:
        return values
    if len(size) != 2:
        return _along_axes(values, size, interpolation)
    if interpolation in _PILLOW:
        return _pillow(values, size, _PILLOW[interpolation])
    how = _OPENCV.get(interpolation, cv2.INTER_LINEAR)
    if interpolation == "area" and all(
        new < old for new, old in zip(size, values.shape, strict=False)
    ):
        how = cv2.INTER_AREA
    found = cv2.resize(np.ascontiguousarray(values), size[::-1], interpolation=how)
    return np.asarray(found).reshape(*size, values.shape[-1])


def _pillow(values: np.ndarray, size: tuple[int, ...], resample: int) -> np.ndarray:
    from PIL import Image  # not every model's card asks for it

    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling(resample)))


def _along_axes(values: np.ndarray, size: tuple[int, ...], interpolation: str) -> np.ndarray:
    kernel = interpolation.removeprefix("pil-")
    weights = []
    for old, new in zip(values.shape[:-1], size, strict=True):
        if kernel in ("nearest", "cubic", "lanczos"):
            places = (np.arange(new) + 0.5) * old / new - 0.5
            weights.append(weights_at(places, old, "nearest" if kernel == "nearest" else "cubic"))
        else:
            smooths = kernel == "area" or interpolation != kernel
            weights.append((area_weights if smooths and new < old else linear_weights)(old, new))
    found = interpolated(np.moveaxis(values, -1, 0).astype(np.float32), weights)
    return np.moveaxis(found, 0, -1)
