"""Where what was read lies in the model's input: places of the one in places of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxcam.interpolation import interpolated, weights_at

Size = tuple[int, ...]
Span = tuple[float, float]

_HAIR = 1e-6
"""Less of a pixel than what rounding leaves."""


@dataclass(frozen=True)
class Frame:
    """A part of the source (picture, volume, signal) fills a part of the input.

    `source` and `input` are their sizes, (rows, columns) of a picture. `seen` is, along each of
    the input's axes, where the part of the source starts and stops, in its pixels, fractions
    included; `filled` the same of the input. `axes` are the source's axes in the input's order.
    """

    source: Size
    input: Size
    seen: tuple[Span, ...]
    filled: tuple[Span, ...]
    axes: tuple[int, ...]

    @classmethod
    def whole(cls, size: Size) -> Frame:
        """The input itself, taken for the source."""
        return cls.stretched(size, size)

    @classmethod
    def stretched(cls, source: Size, to: Size, axes: tuple[int, ...] | None = None) -> Frame:
        """The whole source fills the whole input."""
        order = axes or tuple(range(len(source)))
        seen = tuple((0.0, float(source[axis])) for axis in order)
        return cls(source, to, seen, tuple((0.0, float(length)) for length in to), order)

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2), each x and y in the picture, where they are in the input.

        Boxes (..., 4), each two such points, will do as well.
        """
        pairs = np.asarray(points, np.float64).reshape(-1, len(self.input))
        found = (pairs - self._start) * self._scale + self._offset
        return np.asarray(found.reshape(np.shape(points)))

    def to_source(self, points: np.ndarray) -> np.ndarray:
        """The way back: points of the input where they are in the picture."""
        pairs = np.asarray(points, np.float64).reshape(-1, len(self.input))
        found = (pairs - self._offset) / self._scale + self._start
        return np.asarray(found.reshape(np.shape(points)))

    def mask_to_input(self, mask: np.ndarray) -> np.ndarray:
        """A bool mask of the source, in its size, as one of the input: the nearest pixel's."""
        turned = np.transpose(mask, self.axes)
        whole = np.zeros(self.input, bool)
        inside, places = [], []
        for length, size, seen, filled in zip(
            turned.shape, self.input, self.seen, self.filled, strict=True
        ):
            middles = np.arange(size) + 0.5
            at = _carried(middles, filled, seen)
            inside.append((middles > filled[0]) & (middles < filled[1]))
            places.append(np.clip(np.floor(at[inside[-1]]), 0, length - 1).astype(int))
        whole[np.ix_(*inside)] = turned[np.ix_(*places)]
        return whole

    def back(self, heat: np.ndarray, kernel: str = "linear", unseen: float = 0.0) -> np.ndarray:
        """A map of the whole input, at any resolution, on the source's pixels, float32.

        `kernel` is one of `interpolation.KERNELS`. What the model did not see (outside a centre
        crop) is `unseen`.
        """
        weights, hidden = [], []
        for axis, (length, size) in enumerate(zip(heat.shape, self.input, strict=True)):
            middles = np.arange(self.source[self.axes[axis]]) + 0.5
            places = _carried(middles, self.seen[axis], self.filled[axis])
            start, stop = self.seen[axis]  # a pixel that is seen in part counts
            hidden.append((middles + 0.5 <= start + _HAIR) | (middles - 0.5 >= stop - _HAIR))
            weights.append(weights_at(places * length / size - 0.5, length, kernel))
        found = interpolated(np.asarray(heat, np.float32), weights)
        for axis, outside in enumerate(hidden):
            np.moveaxis(found, axis, 0)[outside] = unseen
        return np.ascontiguousarray(np.transpose(found, np.argsort(self.axes)))

    # Points are x first, axes rows first: the one is the other backwards.

    @property
    def _start(self) -> np.ndarray:
        return np.array([start for start, _ in self.seen[::-1]])

    @property
    def _offset(self) -> np.ndarray:
        return np.array([start for start, _ in self.filled[::-1]])

    @property
    def _scale(self) -> np.ndarray:
        seen, filled = (np.diff(np.array(spans[::-1])) for spans in (self.seen, self.filled))
        return np.asarray((filled / seen)[:, 0])


def _carried(places: np.ndarray, of: Span, to: Span) -> np.ndarray:
    """Places along one span where they are along the other."""
    return (places - of[0]) * (to[1] - to[0]) / (of[1] - of[0]) + to[0]
