"""What other programs call resizing, in the fields of `Preprocess`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PILLOW: dict[Any, str] = {
    "nearest": "pil-nearest",
    "bilinear": "pil-linear",
    "bicubic": "pil-cubic",
    "lanczos": "pil-lanczos",
    "box": "area",
    "hamming": "pil-linear",
}
"""Pillow's filters by name; Hamming's is as wide as the linear one, box averages areas."""

PILLOW_CODES: dict[Any, str] = dict(
    enumerate(PILLOW[name] for name in ("nearest", "lanczos", "bilinear", "bicubic"))
) | {4: PILLOW["box"], 5: PILLOW["hamming"]}

OPENCV: dict[Any, str] = {
    "nearest": "nearest",
    "linear": "linear",
    "bilinear": "linear",
    "cubic": "cubic",
    "bicubic": "cubic",
    "area": "area",
    "lanczos": "lanczos",
    "lanczos4": "lanczos",
}
"""OpenCV's, under the names that Paddle's programs give them."""

OPENCV_CODES: dict[Any, str] = dict(enumerate(("nearest", "linear", "cubic", "area", "lanczos")))

Size = tuple[int, int]


@dataclass(frozen=True)
class Resizing:
    """Fields of `Preprocess`, and in words what they cannot say."""

    fields: dict[str, Any]
    assumed: tuple[str, ...] = ()


def stretched(size: Size | None) -> Resizing:
    """To (height, width), or to the model's own size, whatever the proportions."""
    return Resizing({"resize": "stretch", "size": size})


def cropped(shorter: int, crop: Size) -> Resizing:
    """The shorter side to a length, then (height, width) from the centre."""
    if min(crop) > shorter:
        return Resizing(
            {"resize": "crop", "size": crop},
            (f"a centre crop of {crop[0]}x{crop[1]} out of {shorter} pixels, filled, not framed",),
        )
    return Resizing({"resize": "crop", "crop_ratio": min(crop) / shorter, "size": crop})


def stretched_and_cropped(size: Size, crop: Size) -> Resizing:
    """To one (height, width), then a smaller one from its centre."""
    if crop == size:
        return stretched(crop)
    rows, columns = (part / whole for part, whole in zip(crop, size, strict=True))
    if rows == columns <= 1:
        return Resizing({"resize": "stretch", "crop_ratio": rows, "size": crop})
    cut = f"the margin that is cut off {size[0]}x{size[1]} down to {crop[0]}x{crop[1]} is kept"
    return Resizing({"resize": "stretch", "size": crop}, (cut,))


def padded(size: Size | None, at: str = "corner", value: float | None = None) -> Resizing:
    """Fitted into (height, width); the rest holds a pixel value, or 0 behind the normalisation."""
    return Resizing({"resize": "pad", "size": size, "pad_at": at, "pad_value": value})


def kept(shorter: int, stride: int = 1) -> Resizing:
    """The shorter side to a length and the longer one with it, into inputs of any size."""
    side = -(-shorter // stride) * stride
    square = Resizing({"resize": "pad", "size": (side, side), "pad_at": "corner"})
    told = (
        f"pictures fitted into the model's size, {side}x{side} where it is open (trained with the "
        f"shorter side at {shorter} pixels and the longer one in proportion)"
    )
    return Resizing(square.fields, (told,))
