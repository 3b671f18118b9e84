"""Where a picture lies in the model's input: pixels of the one in pixels of the other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Size = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """A part of the picture fills a part of the input; both sizes are (rows, columns).

    `seen` is (top, left, bottom, right) of the part in the picture's pixels, `filled` how many
    rows and columns of the input it fills, from the input's top left corner on.
    """

    picture: Size
    input: Size
    seen: tuple[int, int, int, int]
    filled: Size

    @classmethod
    def whole(cls, size: Size) -> Frame:
        """The input itself, taken for the picture."""
        return cls(size, size, (0, 0, *size), size)

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2), each x and y in the picture, where they are in the input.

        Boxes (..., 4), each two such points, will do as well.
        """
        pairs = np.asarray(points, np.float64).reshape(-1, 2)
        found = (pairs - self._origin) * self._scale
        return np.asarray(found.reshape(np.shape(points)))

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """The way back: points of the input where they are in the picture."""
        pairs = np.asarray(points, np.float64).reshape(-1, 2)
        found = pairs / self._scale + self._origin
        return np.asarray(found.reshape(np.shape(points)))

    def mask_to_input(self, mask: np.ndarray) -> np.ndarray:
        """A bool mask of the picture, (rows, columns), as one of the input, nearest pixel."""
        top, left, bottom, right = self.seen
        part = np.ascontiguousarray(mask[top:bottom, left:right].astype(np.uint8))
        rows, columns = self.filled
        whole = np.zeros(self.input, bool)
        nearest = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)
        whole[:rows, :columns] = nearest.astype(bool)
        return whole

    @property
    def _origin(self) -> np.ndarray:
        top, left, _, _ = self.seen
        return np.array([left, top], np.float64)

    @property
    def _scale(self) -> np.ndarray:
        top, left, bottom, right = self.seen
        rows, columns = self.filled
        return np.array([columns / (right - left), rows / (bottom - top)])
