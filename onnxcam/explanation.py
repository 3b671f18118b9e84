"""One explanation: what was asked, the numbers, and the picture of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from onnxcam.diagnosis import is_empty
from onnxcam.images import Picture, png, write_image
from onnxcam.overlay import DEFAULT_ALPHA, DEFAULT_COLORMAP, draw
from onnxcam.preprocess import Preprocess


@dataclass(frozen=True)
class Target:
    """What was explained: its number, its name if it has one, its score and probability.

    Of a class `score` is the logit; `probability` is NaN where there is none. `key` is what it is
    called in the names of files, a class's number say. `box`, of a detection, is where it lies:
    x1, y1, x2, y2 in the picture's pixels.
    """

    index: int
    label: str | None
    score: float
    probability: float
    key: str = ""
    box: tuple[float, ...] | None = None

    def __str__(self) -> str:
        number = f"{self.index} " if self.is_class else ""
        name = f"{number}{self.label}" if self.label else f"class {self.index}"
        if np.isnan(self.probability):
            return f"{name} ({self.score:.4g})"
        return f"{name} ({self.probability:.1%})"

    @property
    def is_class(self) -> bool:
        """Whether it is a class, and so has a number that says something."""
        return self.key in ("", str(self.index))


@dataclass(frozen=True)
class Explanation:
    """Why a model gave a picture a class.

    `raw` is float32 (h, w) at the target layer's resolution, the method's published formula, not
    normalised. `picture` is the original, uint8 RGB (H, W, 3), None when a tensor was explained.
    `image` is the path it came from, or None. `warnings` say what to know before trusting it.
    `outliers` is the share of places whose heat is cut off at that of the hottest other one.
    """

    raw: np.ndarray
    target: Target
    method: str
    layer: str
    provider: str
    input_size: tuple[int, int]
    preprocess: Preprocess
    picture: Picture
    image: str | None = None
    warnings: list[str] = field(default_factory=list)
    outliers: float = 0.0

    @cached_property
    def heatmap(self) -> np.ndarray:
        """float32 in [0, 1] at the size of the model's input (H, W); all 0 for an empty map.

        The raw map's positive part, minus its minimum, divided by its maximum (that of what is
        left without `outliers`), then enlarged bilinearly: a signed map shows what speaks for the
        target.
        """
        height, width = self.input_size
        unit = normalized(self.raw, self.outliers)
        return np.asarray(cv2.resize(unit, (width, height), interpolation=cv2.INTER_LINEAR))

    def overlay(
        self,
        style: str = "blend",
        colormap: str = DEFAULT_COLORMAP,
        alpha: float = DEFAULT_ALPHA,
    ) -> Picture:
        """The heat on the original picture, in its size: uint8 RGB (H, W, 3)."""
        heat = self.preprocess.back(self.heatmap, self.picture)
        return draw(self.picture, heat, style, colormap, alpha)

    def save(self, path: str | os.PathLike[str], **how: Any) -> Path:
        """Write `overlay(**how)`, in the format of the path's ending; returns the path."""
        write_image(path, self.overlay(**how))
        return Path(path)

    def _repr_png_(self) -> bytes:
        return png(self.overlay())


def normalized(raw: np.ndarray, outliers: float = 0.0) -> np.ndarray:
    """A map's positive part scaled to [0, 1], float32; all 0 where it is constant or not finite.

    The hottest places, a share of `outliers`, count as hot as the hottest other one.
    """
    if is_empty(raw):
        return np.zeros_like(raw, dtype=np.float32)
    positive = np.maximum(raw, 0).astype(np.float64)
    low, high = positive.min(), positive.max()
    usual = np.quantile(positive, 1 - outliers)
    if usual > low:
        high = usual
    return np.asarray((np.minimum(positive, high) - low) / (high - low), np.float32)
