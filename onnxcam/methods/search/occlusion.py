"""Occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register
from onnxcam.methods.search.black_box import BlackBox
from onnxcam.methods.search.variants import picture_axes, picture_size, scored

Lengths = int | Sequence[int]


@register
@dataclass(frozen=True)
class Occlusion(BlackBox):
    """How much of the score is lost when a window is hidden, mean over the windows at a pixel.

    Signed, at the input's resolution. As in Captum: the first window lies in the corner, the last
    may be cut off at the border, and a hidden pixel is `baseline` in the model's input range, so 0
    is its mean colour, mostly. All channels are hidden together. `window` and `stride` are in
    pixels, one number or one an axis; the defaults are those of Captum's tutorials, a window never
    larger than the picture. The paper maps the score itself, with a grey window.
    """

    window: Lengths = 15
    stride: Lengths = 8
    baseline: float = 0.0

    name = "occlusion"
    title = "Occlusion"
    formula = "mean over windows at a pixel of score - score with the window hidden"
    paper = "Zeiler & Fergus 2014, arXiv:1311.2901"
    needs = ("forward only",)
    cost = "windows (784 at 224x224)"

    def __post_init__(self) -> None:
        if not np.isfinite(self.baseline):
            raise MethodError(f"occlusion: the baseline is {self.baseline}; it must be finite")
        windows, strides = np.atleast_1d(self.window), np.atleast_1d(self.stride)
        if windows.min() < 1 or strides.min() < 1:
            raise MethodError(
                f"window and stride are at least 1 pixel, not {self.window} and {self.stride}"
            )
        if len(windows) > 1 and len(strides) > 1 and len(windows) != len(strides):
            raise MethodError(f"window {self.window} and stride {self.stride} differ in axes")
        if (strides > windows).any():
            raise MethodError(
                f"a stride of {self.stride} leaves pixels between windows of {self.window} out; "
                f"make it smaller, or the window larger"
            )

    def search(self, lab: Lab) -> np.ndarray:
        size = picture_size(lab)
        windows = _windows(size, self._lengths(self.window, size), self._lengths(self.stride, size))
        front = (slice(None),) * picture_axes(lab)[0]

        def hidden(part: slice) -> np.ndarray:
            some = windows[part]
            pictures = np.repeat(lab.x, len(some), axis=0)
            for picture, window in zip(pictures, some, strict=True):
                picture[(*front[1:], *window)] = self.baseline
            return pictures

        losses = lab.score - scored(len(windows), hidden, lab.scores)
        total = np.zeros((len(lab.score), *size))
        count = np.zeros(size)
        for window, loss in zip(windows, losses, strict=True):
            total[(slice(None), *window)] += loss.reshape(-1, *[1] * len(size))
            count[window] += 1
        return np.asarray(total / count, np.float32)

    def _lengths(self, given: Lengths, size: tuple[int, ...]) -> list[int]:
        lengths = np.atleast_1d(given)
        if len(lengths) not in (1, len(size)):
            raise MethodError(f"{given} is not one length, and not one for each of {size}")
        return [int(length) for length in np.broadcast_to(lengths, len(size))]


def _windows(
    size: tuple[int, ...], lengths: Sequence[int], strides: Sequence[int]
) -> list[tuple[slice, ...]]:
    """From corner to corner, the last ones cut off at the border."""
    along = []
    for pixels, length, stride in zip(size, lengths, strides, strict=True):
        steps = -(-max(0, pixels - length) // stride) + 1
        along.append([slice(k * stride, min(k * stride + length, pixels)) for k in range(steps)])
    return list(product(*along))
