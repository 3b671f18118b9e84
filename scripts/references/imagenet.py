"""Photographs as torchvision and Paddle's vision transforms prepare them for ImageNet networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue in [0, 1]."""


@dataclass(frozen=True)
class ImageNetPhotographs:
    """Photographs (paths in the repository), each stretched to `size` by Pillow's bilinear filter,
    divided by 255 and normalised by ImageNet's mean and deviation."""

    photographs: Sequence[str]
    size: tuple[int, int]

    @property
    def paths(self) -> list[Path]:
        return [Path(__file__).parents[2] / photograph for photograph in self.photographs]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.photographs), 3, *self.size)

    def pictures(self) -> np.ndarray:
        """Stretched and no more: uint8 RGB (N, H, W, 3)."""
        return np.stack([self._stretched(path) for path in self.paths])

    def values(self) -> np.ndarray:
        """float32 (N, 3, H, W)."""
        unit = self.pictures().astype(np.float32) / np.float32(255)
        normalised = (unit - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))

    def _stretched(self, path: Path) -> np.ndarray:
        height, width = self.size
        with Image.open(path) as image:
            whole = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(whole)
