"""From what was read to what the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from onnxcam.errors import PreprocessError, nearest
from onnxcam.frame import Frame, Size
from onnxcam.graph.picture import ImageInput
from onnxcam.preprocess.fitting import Fit, fitted
from onnxcam.preprocess.scaling import INTERPOLATIONS, scaled

Values = float | tuple[float, ...]

COLORS = ("rgb", "bgr")
RESIZES = ("stretch", "crop", "pad")
PLACES = ("corner", "center")
WINDOWS = ("min-max", "z-score")


@dataclass(frozen=True)
class Preprocess:
    """x = (v * scale - mean) / std, v of pictures in 0..255; mean and std one or one a channel.

    `color` is the channel order that the model wants, "rgb" or "bgr". `resize` says how what was
    read gets the model's size: "stretch" it to size / `crop_ratio`, or scale its shorter side to
    that, and "crop" the centre, as torchvision (of "stretch" too, where there is a ratio); or fit
    it in and "pad" the rest (a letterbox), `pad_at` the "corner" or the "center", with `pad_value`
    (as v; None is 0 behind the normalisation).
    `interpolation` is one of `INTERPOLATIONS`. `window` comes first: "min-max" and (low, high)
    put the values, each source's own or those, in [0, 1], cutting off what is beyond; "z-score"
    makes their mean 0 and their deviation 1. `axes` are the source's spatial axes in the model's
    order. `size`, (height, width) say, is needed only where the model leaves its input size open.
    """

    color: str = "rgb"
    scale: float = 1 / 255
    mean: Values = 0.0
    std: Values = 1.0
    size: Size | None = None
    resize: str = "stretch"
    crop_ratio: float = 1.0
    interpolation: str = "area"
    pad_at: str = "corner"
    pad_value: float | None = None
    window: str | tuple[float, float] | None = None
    axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _require_one_of("color", self.color, COLORS)
        _require_one_of("resize", self.resize, RESIZES)
        _require_one_of("interpolation", self.interpolation, INTERPOLATIONS)
        _require_one_of("pad_at", self.pad_at, PLACES)
        for name, axes in (("scale", 0), ("crop_ratio", 0), ("mean", 1), ("std", 1)):
            values = np.asarray(getattr(self, name))
            if not _are_numbers(values) or values.ndim > axes:
                either = ", or one a channel" if axes else ""
                raise PreprocessError(f"{name} must be a number{either}")
        if np.any(np.asarray(self.std) == 0):
            raise PreprocessError("std must not be 0")
        if not 0 < self.crop_ratio <= 1:
            raise PreprocessError(f"crop_ratio {self.crop_ratio} is not in (0, 1]")
        if self.pad_value is not None and not _are_numbers(np.asarray(self.pad_value)):
            raise PreprocessError("pad_value must be a number, or null for 0 when normalised")
        if self.size is not None and not _is_size(self.size):
            raise PreprocessError("size must be height and width, two positive whole numbers")
        self._require_window()
        if self.axes is not None and sorted(self.axes) != list(range(len(self.axes))):
            raise PreprocessError(f"axes {self.axes} must be the numbers of all axes, 0, 1, 2 say")

    def _require_window(self) -> None:
        if self.window is None or isinstance(self.window, str):
            return _require_one_of("window", self.window or WINDOWS[0], WINDOWS)
        limits = np.asarray(self.window)
        if not _are_numbers(limits) or limits.shape != (2,) or not limits[0] < limits[1]:
            raise PreprocessError(
                f"window must be {' or '.join(WINDOWS)}, or the lowest and the highest value"
            )

    def tensor(self, values: np.ndarray, to: ImageInput) -> np.ndarray:
        """Values (*size, C) as the model's input, batch 1, in its layout and element type.

        Pictures are uint8 RGB (H, W, 3), volumes float32 (D, H, W, C), signals float32 (L, C).
        """
        source = values.shape[:-1]
        fit = self.fit(source, self.input_size(to, source))
        turned = np.transpose(values, (*fit.axes, values.ndim - 1))
        whole = scaled(turned, fit.scaled, self.interpolation)
        x = self._normalized(self._windowed(fit.cut(whole), values), to.channels)
        if fit.pads:
            x = fit.padded(x, self._padding(to.channels))
        if not to.channels_last:
            x = np.moveaxis(x, -1, 0)
        if to.dtype.kind == "u":
            x = np.clip(np.rint(x), 0, np.iinfo(to.dtype).max)
        return np.ascontiguousarray(x[None].astype(to.dtype))

    def input_size(self, to: ImageInput, source: Size | None = None) -> Size:
        """The spatial size that the model takes, (height, width) of pictures.

        Where the model leaves it open, `size`, or what the source's is (of pictures 224 x 224,
        which most networks were trained with). Raises `PreprocessError` where nothing tells, or
        where it is absurdly much.
        """
        own = self.size or (DEFAULT_SIZE if to.is_picture else source)
        if own is None and None in to.size:
            raise PreprocessError(
                f"the model leaves the size of '{to.name}' ({', '.join(to.layout)}) open; give "
                f'--preprocess a JSON file with "size", the lengths of its {len(to.size)} axes'
            )
        if own is not None and len(own) != len(to.size):
            raise PreprocessError(
                f"size must be {len(to.size)} lengths, one for each axis of the model's input "
                f"'{to.name}', and is {_by(own)}"
            )
        lengths = zip(to.size, own or to.size, strict=True)
        size = tuple(length or usual or 1 for length, usual in lengths)
        batch = to.batch or 1
        if batch * np.prod(size, dtype=np.float64) > LARGEST_INPUT:
            raise PreprocessError(
                f"input '{to.name}' takes {batch} pictures of {_by(size)}, more than "
                f"{LARGEST_INPUT} pixels; export the model for smaller ones"
            )
        return size

    def fit(self, source: Size, to: Size) -> Fit:
        """How a source of that size gets into an input of size `to`.

        Raises `PreprocessError` where it has other axes than the input.
        """
        axes = self.axes or tuple(range(len(source)))
        if len(source) != len(to) or len(axes) != len(to):
            raise PreprocessError(
                f"what was read has {len(source)} axes ({_by(source)}), the "
                f"model's input {len(to)}" + (f", axes names {len(axes)}" if self.axes else "")
            )
        if len(to) == 3 and not self.axes and source != to and sorted(source) == sorted(to):
            raise PreprocessError(
                f"the volume is {_by(source)}, the model takes {_by(to)}: the same lengths in "
                f'another order; say in which with "axes" of a --preprocess file, such as '
                f"{_order(source, to)} (or [0, 1, 2] to stretch it)"
            )
        return fitted(source, to, axes, self.resize, self.crop_ratio, self.pad_at)

    def frame(self, source: Size, to: Size) -> Frame:
        """Where a source of that size, (rows, columns) say, lies in an input of size `to`."""
        return self.fit(source, to).frame

    def _windowed(self, part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """The part by the limits, or the mean and deviation, of all that was read."""
        if self.window is None:
            return part
        if self.window == "z-score":
            low, width = float(whole.mean()), float(whole.std())
            return np.asarray((part - np.float32(low)) / np.float32(width or 1), np.float32)
        own = float(whole.min()), float(whole.max())
        low, high = own if isinstance(self.window, str) else self.window
        unit = (part - np.float32(low)) / np.float32(high - low or 1)
        return np.asarray(np.clip(unit, 0, 1), np.float32)

    def _normalized(self, values: np.ndarray, channels: int) -> np.ndarray:
        image = self._in_channels(values, channels)
        mean, std = self._mean_and_std(channels)
        return (image.astype(np.float32) * np.float32(self.scale) - mean) / std

    def _in_channels(self, values: np.ndarray, channels: int) -> np.ndarray:
        """Pictures in the model's colours; volumes and signals must have its channels."""
        if values.shape[-1] == channels and (values.ndim != 3 or channels != 3):
            return values
        if values.ndim != 3 or values.shape[-1] != 3:
            raise PreprocessError(
                f"what was read has {values.shape[-1]} channels, the model takes {channels}"
            )
        if channels == 1:
            return np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY))[..., None]
        image = values if self.color == "rgb" else values[..., ::-1]
        if channels == 4:
            image = np.concatenate([image, np.full_like(image[..., :1], 255)], axis=2)
        return image

    def _padding(self, channels: int) -> np.ndarray:
        """What the rest of a letterbox holds, a number a channel."""
        if self.pad_value is None:
            return np.zeros(channels, np.float32)
        mean, std = self._mean_and_std(channels)
        return np.asarray((np.float32(self.pad_value * self.scale) - mean) / std, np.float32)

    def _mean_and_std(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        for name in ("mean", "std"):
            count = np.size(getattr(self, name))
            if count not in (1, channels):
                raise PreprocessError(f"{name} has {count} values, the model {channels} channels")
        return np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)


LARGEST_INPUT = 2**28
"""Pixels of a batch: 16384 x 16384, or five thousand pictures of 224 x 224."""

DEFAULT_SIZE = (224, 224)
"""What a picture model with an open input size is given when nothing says more."""


def _require_one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise PreprocessError(
            f"{name} '{value}' is none of {', '.join(known)}{nearest(str(value), known)}"
        )


def _are_numbers(values: np.ndarray) -> bool:
    return bool(values.dtype.kind in "iuf" and values.size and np.isfinite(values).all())


def _by(size: Size) -> str:
    return " x ".join(map(str, size))


def _order(source: Size, to: Size) -> list[int]:
    """The axes of the source whose lengths are those of `to`."""
    left = list(range(len(source)))
    found = []
    for length in to:
        found.append(next(axis for axis in left if source[axis] == length))
        left.remove(found[-1])
    return found


def _is_size(size: Any) -> bool:
    whole = all(isinstance(length, int | np.integer) and length > 0 for length in size)
    return 1 <= len(size) <= 3 and whole
