"""The pictures the networks are shown, small enough to describe that none has to be recorded."""

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from .head import Head
from .imagenet import ImageNetPhotographs
from .photograph import CaffePhotograph

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Drawn:
    """Soft blobs with some grain, drawn from `name`: about zero mean and unit variance."""

    name: str
    shape: tuple[int, int, int, int]
    axes: str

    def values(self) -> np.ndarray:
        """float32 of `shape` (N, C, H, W), its axes then put as `axes` says."""
        n, c, h, w = self.shape
        stream = np.random.RandomState(crc32(f"pictures of {self.name}".encode()))
        coarse = stream.standard_normal((n, c, 8, 8))
        blobs = np.einsum("ai,ncij,bj->ncab", _interpolation(h, 8), coarse, _interpolation(w, 8))
        return _arranged(1.3 * blobs + 0.3 * stream.standard_normal(tuple(self.shape)), self.axes)


@dataclass(frozen=True)
class Cuts:
    """Squares cut from a photograph, from its left edge to its right, mapped to `low`..`high`.

    Trained networks need something to see: with noise, a class map may be zero everywhere.
    """

    photograph: str
    shape: tuple[int, int, int, int]
    axes: str
    low: float
    high: float
    top: int
    """Row of their upper edge; chosen so that no ReLU's input lies within rounding of zero."""

    def values(self) -> np.ndarray:
        """float32 of `shape` (N, 3, H, W), its axes then put as `axes` says."""
        n, _, h, w = self.shape
        photograph = cv2.cvtColor(cv2.imread(str(ROOT / self.photograph)), cv2.COLOR_BGR2RGB)
        lefts = np.linspace(0, photograph.shape[1] - w, n).astype(int)
        cuts = np.stack([photograph[self.top : self.top + h, left : left + w] for left in lefts])
        values = self.low + cuts.transpose(0, 3, 1, 2) / 255 * (self.high - self.low)
        return _arranged(values, self.axes)


Input = Drawn | Cuts | Head | CaffePhotograph | ImageNetPhotographs
KINDS = {kind.__name__: kind for kind in (Drawn, Cuts, Head, CaffePhotograph, ImageNetPhotographs)}


def _arranged(values: np.ndarray, axes: str) -> np.ndarray:
    order = ["NCHW".index(axis) for axis in axes]
    return np.ascontiguousarray(values.transpose(order), dtype=np.float32)


def _interpolation(size: int, knots: int) -> np.ndarray:
    """(size, knots) matrix that interpolates linearly between equally spaced knots."""
    position = np.linspace(0, knots - 1, size)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(knots)))
