"""One explanation: what was asked, the numbers, and the picture of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from onnxcam.images import Picture, png, write_image
from onnxcam.overlay import DEFAULT_ALPHA, DEFAULT_COLORMAP, draw
from onnxcam.preprocess import Preprocess


@dataclass(frozen=True)
class Target:
    """The class explained: its number, its name if it has one, its logit and probability."""

    index: int
    label: str | None
    score: float
    probability: float

    def __str__(self) -> str:
        name = f"{self.index} {self.label}" if self.label else f"class {self.index}"
        return f"{name} ({self.probability:.1%})"


@dataclass(frozen=True)
class Explanation:
    """Why a model gave a picture a class.

    `raw` is float32 (h, w) at the target layer's resolution, the method's published formula, not
    normalised. `picture` is the original, uint8 RGB (H, W, 3), None when a tensor was explained.
    `image` is the path it came from, or None. `warnings` say what to know before trusting it.
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

    @cached_property
    def heatmap(self) -> np.ndarray:
        """float32 in [0, 1] at the size of the model's input (H, W); all 0 for an empty map.

        The raw map minus its minimum, divided by its maximum, then enlarged bilinearly.
        """
        height, width = self.input_size
        unit = normalized(self.raw)
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


def normalized(raw: np.ndarray) -> np.ndarray:
    """A map scaled to [0, 1], float32; one that is constant or not finite becomes all 0."""
    if not np.isfinite(raw).all():
        return np.zeros_like(raw, dtype=np.float32)
    low, high = float(raw.min()), float(raw.max())
    if high <= low:
        return np.zeros_like(raw, dtype=np.float32)
    return ((raw.astype(np.float64) - low) / (high - low)).astype(np.float32)
