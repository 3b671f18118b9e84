"""How something of one size gets into an input of another: stretched, cropped or padded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxcam.frame import Frame, Size


@dataclass(frozen=True)
class Fit:
    """The steps in numbers, along the input's axes.

    The source, its `axes` in the input's order, is scaled to the size `scaled`; of that, `shown`
    (a start and a stop along each axis) is laid on the input of size `input` at `at`.
    """

    source: Size
    input: Size
    axes: tuple[int, ...]
    scaled: Size
    shown: tuple[tuple[int, int], ...]
    at: Size

    @property
    def pads(self) -> bool:
        """Whether a part of the input is left over."""
        return any(
            stop - start < length
            for (start, stop), length in zip(self.shown, self.input, strict=True)
        )

    def cut(self, values: np.ndarray) -> np.ndarray:
        """What is shown of the scaled values."""
        return values[tuple(slice(start, stop) for start, stop in self.shown)]

    def padded(self, values: np.ndarray, padding: np.ndarray) -> np.ndarray:
        """What is shown, in its place on an input full of `padding`, a number a channel."""
        whole = np.empty((*self.input, values.shape[-1]), values.dtype)
        whole[...] = padding
        inside = (slice(a, a + n) for a, n in zip(self.at, values.shape, strict=False))
        whole[tuple(inside)] = values
        return whole

    @property
    def frame(self) -> Frame:
        """Where the source lies in the input."""
        ordered = [self.source[axis] for axis in self.axes]
        ratios = [old / new for old, new in zip(ordered, self.scaled, strict=True)]
        seen = tuple(
            (start * ratio, stop * ratio)
            for (start, stop), ratio in zip(self.shown, ratios, strict=True)
        )
        filled = tuple(
            (float(at), float(at + stop - start))
            for at, (start, stop) in zip(self.at, self.shown, strict=True)
        )
        return Frame(self.source, self.input, seen, filled, self.axes)


def fitted(
    source: Size, to: Size, axes: tuple[int, ...], resize: str, crop_ratio: float, pad_at: str
) -> Fit:
    """The steps for `resize`: "stretch", "crop" or "pad" (see `Preprocess`).

    The first two show the middle of what is larger than the input by 1 / `crop_ratio`.
    """
    lengths = tuple(source[axis] for axis in axes)
    start = (0,) * len(to)
    ratios = [new / old for new, old in zip(to, lengths, strict=True)]
    if resize == "pad":
        ratio = min(ratios)
        size = tuple(
            min(new, max(1, round(old * ratio))) for new, old in zip(to, lengths, strict=True)
        )
        if pad_at == "center":
            start = tuple((new - own) // 2 for new, own in zip(to, size, strict=True))
        return Fit(source, to, axes, size, tuple((0, own) for own in size), start)
    if resize == "crop":
        ratios = [max(ratios)] * len(ratios)
    # Down, as torchvision and timm do; what falls short by a rounding error does not count.
    sizes = (
        int(old * ratio / crop_ratio + 1e-6) for old, ratio in zip(lengths, ratios, strict=True)
    )
    size = tuple(max(new, long) for new, long in zip(to, sizes, strict=True))
    shown = tuple(_middle(long, new) for long, new in zip(size, to, strict=True))
    return Fit(source, to, axes, size, shown, start)


def _middle(length: int, part: int) -> tuple[int, int]:
    first = round((length - part) / 2)
    return first, first + part
