"""From a picture to what the model was trained on, and back from heatmap to picture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from onnxcam.errors import PreprocessError, nearest
from onnxcam.frame import Frame
from onnxcam.graph.picture import ImageInput
from onnxcam.images import Picture

Values = float | tuple[float, ...]

RESIZES = ("stretch", "crop", "pad")


@dataclass(frozen=True)
class Preprocess:
    """x = (pixel * scale - mean) / std, pixels in 0..255, mean and std a number or one a channel.

    `color` is the channel order that the model wants, "rgb" or "bgr". `resize` says how a picture
    gets the model's size: "stretch" it; scale its shorter side to size / `crop_ratio` and "crop"
    the centre; or fit it in, top left, and "pad" with zeros. `size` (height, width) is needed
    only where the model leaves its input size open.
    """

    color: str = "rgb"
    scale: float = 1 / 255
    mean: Values = 0.0
    std: Values = 1.0
    size: tuple[int, int] | None = None
    resize: str = "stretch"
    crop_ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.color not in ("rgb", "bgr"):
            raise PreprocessError(f"color '{self.color}' is neither 'rgb' nor 'bgr'")
        if self.resize not in RESIZES:
            raise PreprocessError(f"resize '{self.resize}' is none of {', '.join(RESIZES)}")
        for name, axes in (("scale", 0), ("crop_ratio", 0), ("mean", 1), ("std", 1)):
            values = np.asarray(getattr(self, name))
            numbers = values.dtype.kind in "iuf" and values.size and np.isfinite(values).all()
            if not numbers or values.ndim > axes:
                either = ", or one a channel" if axes else ""
                raise PreprocessError(f"{name} must be a number{either}")
        if np.any(np.asarray(self.std) == 0):
            raise PreprocessError("std must not be 0")
        if not 0 < self.crop_ratio <= 1:
            raise PreprocessError(f"crop_ratio {self.crop_ratio} is not in (0, 1]")
        if self.size is not None and not _is_size(self.size):
            raise PreprocessError("size must be height and width, two positive whole numbers")

    def tensor(self, picture: Picture, to: ImageInput) -> np.ndarray:
        """The picture as the model's input, batch 1, in its layout and element type."""
        height, width = self.input_size(to)
        frame = self.frame((picture.shape[0], picture.shape[1]), (height, width))
        top, left, bottom, right = frame.seen
        part = _scaled(picture[top:bottom, left:right], *frame.filled)
        values = _padded(self._normalized(part, to.channels), height, width)
        if not to.channels_last:
            values = values.transpose(2, 0, 1)
        if to.dtype.kind == "u":
            values = np.clip(np.rint(values), 0, np.iinfo(to.dtype).max)
        return np.ascontiguousarray(values[None].astype(to.dtype))

    def input_size(self, to: ImageInput) -> tuple[int, int]:
        """(height, width) that the model takes.

        Raises `PreprocessError` where that is absurdly many, or where it takes no pictures.
        """
        if not to.is_picture:
            raise PreprocessError(
                f"input '{to.name}' takes no picture but ({', '.join(to.layout)}) of {to.channels} "
                f"channels; prepare an array and use Explainer.run"
            )
        own = self.size or DEFAULT_SIZE
        height, width = to.height or own[0], to.width or own[1]
        batch = to.batch or 1
        if batch * height * width > LARGEST_INPUT:
            raise PreprocessError(
                f"input '{to.name}' takes {batch} pictures of {height} x {width}, more than "
                f"{LARGEST_INPUT} pixels; export the model for smaller ones"
            )
        return height, width

    def _normalized(self, picture: Picture, channels: int) -> np.ndarray:
        if channels == 1:
            image = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
        else:
            image = picture if self.color == "rgb" else picture[..., ::-1]
        if channels == 4:
            image = np.concatenate([image, np.full_like(image[..., :1], 255)], axis=2)
        for name in ("mean", "std"):
            count = np.size(getattr(self, name))
            if count not in (1, channels):
                raise PreprocessError(f"{name} has {count} values, the model {channels} channels")
        mean, std = (np.asarray(v, np.float32) for v in (self.mean, self.std))
        return (image.astype(np.float32) * np.float32(self.scale) - mean) / std

    def back(self, heatmap: np.ndarray, picture: Picture) -> np.ndarray:
        """A heatmap of the model's input, float32, on the original picture's pixels (H, W).

        What the model did not see (outside a centre crop) is 0.
        """
        rows, columns = picture.shape[:2]
        height, width = heatmap.shape
        frame = self.frame((rows, columns), (height, width))
        top, left, bottom, right = frame.seen
        whole = np.zeros((rows, columns), np.float32)
        inner = heatmap[: frame.filled[0], : frame.filled[1]]
        whole[top:bottom, left:right] = _scaled(inner, bottom - top, right - left)
        return whole

    def frame(self, picture: tuple[int, int], to: tuple[int, int]) -> Frame:
        """Where a picture of that size, (rows, columns), lies in an input of size `to`."""
        seen, filled = (0, 0, *picture), to
        if self.resize == "pad":
            filled = _fitted(*picture, *to)
        elif self.resize == "crop":
            seen = _crop_box(*picture, *to, self.crop_ratio)
        return Frame(picture, to, seen, filled)


LARGEST_INPUT = 2**28
"""Pixels of a batch: 16384 x 16384, or five thousand pictures of 224 x 224."""

DEFAULT_SIZE = (224, 224)
"""What a model with an open input size is given when nothing says more."""

PRESETS: dict[str, Preprocess] = {
    "imagenet": Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "caffe": Preprocess(color="bgr", scale=1.0, mean=(103.939, 116.779, 123.68)),
    "tf": Preprocess(scale=1 / 127.5, mean=1.0),
    "0-1": Preprocess(),
    "raw": Preprocess(scale=1.0),
}
"""Named ways to normalise: torchvision's, VGG's as Keras keeps it, [-1, 1], [0, 1], 0..255."""


def find_preprocess(spec: str | os.PathLike[str] | Mapping[str, Any] | Preprocess) -> Preprocess:
    """A preset by name, a JSON file, its content as a mapping, or a `Preprocess` as it is.

    Raises `PreprocessError` with the nearest names.
    """
    if isinstance(spec, Preprocess):
        return spec
    if isinstance(spec, Mapping):
        return from_mapping(spec, "the preprocessing given")
    name = os.fspath(spec)
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not os.path.isfile(path):
        raise PreprocessError(
            f"no preset and no file '{name}'{nearest(name, PRESETS)}; presets: {', '.join(PRESETS)}"
        )
    content = read_json(path)
    return from_mapping(content.get("preprocess", content), str(path))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `PreprocessError` when it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # Windows marks its UTF-8
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PreprocessError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(content, dict):
        raise PreprocessError(f"{path}: holds no JSON object")
    return content


def from_mapping(content: Mapping[str, Any], name: str) -> Preprocess:
    """A `Preprocess` from the keys of its fields; `name` is what errors call it."""
    if not isinstance(content, Mapping):
        raise PreprocessError(f"{name}: preprocessing must be a JSON object of settings")
    known = {field.name for field in fields(Preprocess)}
    for key in content:
        if key not in known:
            raise PreprocessError(f"{name}: no setting '{key}'{nearest(key, known)}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    try:
        return Preprocess(**values)
    except (PreprocessError, TypeError, ValueError) as error:
        raise PreprocessError(f"{name}: {error}") from None


def _is_size(size: Any) -> bool:
    whole = all(isinstance(length, int | np.integer) and length > 0 for length in size)
    return len(size) == 2 and whole


def _scaled(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area averaging when it shrinks (no aliasing), bilinear when it grows."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] and width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how))


def _fitted(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """Largest size of the picture's proportions inside height x width."""
    ratio = min(height / rows, width / columns)
    return max(1, round(rows * ratio)), max(1, round(columns * ratio))


def _padded(values: np.ndarray, height: int, width: int) -> np.ndarray:
    if values.shape[:2] == (height, width):
        return values
    whole = np.zeros((height, width, values.shape[2]), values.dtype)
    whole[: values.shape[0], : values.shape[1]] = values
    return whole


def _crop_box(
    rows: int, columns: int, height: int, width: int, ratio: float
) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the centre that is seen, in the picture's pixels."""
    scale = max(height / rows, width / columns) / ratio
    tall = min(rows, max(1, round(height / scale)))
    wide = min(columns, max(1, round(width / scale)))
    top, left = (rows - tall) // 2, (columns - wide) // 2
    return top, left, top + tall, left + wide
