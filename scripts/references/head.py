"""A volume that looks like a scan of a head, drawn: skull, brain, ventricles, bright spots, air."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

SKULL, BRAIN, VENTRICLE, SPOT = 700.0, 420.0, 120.0, 900.0
"""Brightness of the parts; air is 0."""


@dataclass(frozen=True)
class Head:
    """One head, drawn from `name`, `shape` (D, H, W) voxels large."""

    name: str
    shape: tuple[int, int, int]

    def volume(self) -> np.ndarray:
        """The scan as a file would hold it: float32 (D, H, W), whole numbers from 0, air 0."""
        stream = np.random.RandomState(crc32(f"head of {self.name}".encode()))
        skull, brain = self._ellipsoid((0, 0, 0), 0.9, 0.93), self._ellipsoid((0, 0, 0), 0.8, 0.83)
        values = np.where(brain > 0, brain * BRAIN, skull * SKULL)
        for side in (-1, 1):
            ventricle = self._ellipsoid((0.05, 0, 0.14 * side), (0.4, 0.28, 0.09), 0.92)
            values += ventricle * (VENTRICLE - BRAIN)
        for _ in range(4):
            spot = self._ellipsoid(stream.uniform(-0.45, 0.45, 3), stream.uniform(0.06, 0.14, 3))
            values += spot * (SPOT - values)
        values += stream.uniform(-40, 40, self.shape)
        return np.asarray(np.rint(np.maximum(values, 0) * (skull > 0)), np.float32)

    def values(self) -> np.ndarray:
        """The same scaled to [0, 1]: float32 (1, D, H, W, 1)."""
        volume = self.volume()
        unit = (volume - volume.min()) / (volume.max() - volume.min())
        return np.asarray(unit[None, ..., None], np.float32)

    def _ellipsoid(
        self, centre: Sequence[float] | np.ndarray, half: object, solid: float = 0.8
    ) -> np.ndarray:
        """1 inside, 0 outside, falling from `solid` of the half axes on; the scan is 2 wide."""
        halves = np.broadcast_to(np.asarray(half, np.float64), 3)
        squares = [
            ((np.linspace(-1, 1, size) - middle) / wide) ** 2
            for size, middle, wide in zip(self.shape, centre, halves, strict=True)
        ]
        away = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
        return np.clip((1 - away) / (1 - solid), 0, 1)
