"""Colours by name."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.images import Picture


@dataclass(frozen=True)
class Colormap:
    """256 colours from cold to hot, uint8 RGB (256, 3).

    The entry of a value in [0, 1] is that value times `steps`, cut to a whole number: 255 where
    programs write `cv2.applyColorMap(np.uint8(255 * heat))`, 256 as matplotlib counts.
    """

    table: Picture
    steps: int = 255

    def entries(self, values: np.ndarray) -> NDArray[np.uint8]:
        """Which entry each value is painted with: uint8 of the values' shape."""
        scaled = np.multiply(values, np.float32(self.steps), dtype=np.float32)
        np.clip(scaled, 0, 255, out=scaled)
        return scaled.astype(np.uint8)


_RAMP = np.arange(256, dtype=np.uint8)
_UNIT = _RAMP / 255


def _opencv() -> dict[str, Colormap]:
    """OpenCV's colormaps by lower-case name."""
    kinds = [name for name in dir(cv2) if name.startswith("COLORMAP_")]
    tables = {
        name.removeprefix("COLORMAP_").lower(): cv2.applyColorMap(
            _RAMP[:, None], getattr(cv2, name)
        )
        for name in kinds
    }
    return {
        name: Colormap(np.ascontiguousarray(table[:, 0, ::-1])) for name, table in tables.items()
    }


def _drawn(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> Colormap:
    """A colormap of three curves in [0, 1], its entries cut to whole numbers as in matplotlib."""
    curves = np.clip(np.stack([red, green, blue], axis=1), 0, 1)
    return Colormap((curves * 255).astype(np.uint8), steps=256)


def _all() -> dict[str, Colormap]:
    known = _opencv()
    # One name, two colormaps (violet to red, red to magenta): published heatmaps mean matplotlib's.
    known["cv-rainbow"] = known["rainbow"]
    known["rainbow"] = _drawn(
        abs(2 * _UNIT - 0.5), np.sin(np.pi * _UNIT), np.cos(np.pi / 2 * _UNIT)
    )
    known["gray"] = Colormap(np.repeat(_RAMP[:, None], 3, axis=1))
    return dict(sorted(known.items()))


COLORMAPS: dict[str, Colormap] = _all()
"""OpenCV's colormaps by lower-case name, `gray`, and matplotlib's `rainbow`, which is another one
than OpenCV's (`cv-rainbow`). `bone`, `viridis`, `cividis`, ... are the same in both."""

DEFAULT_COLORMAP = "jet"


def require_colormap(name: str) -> None:
    """Raise `OnnxCamError` for a name that no colormap has."""
    if name not in COLORMAPS:
        raise OnnxCamError(f"no colormap '{name}'{nearest(name, COLORMAPS)}")


def colorize(heat: np.ndarray, colormap: str = DEFAULT_COLORMAP) -> Picture:
    """Values in [0, 1], (H, W), in the colours of a colormap: uint8 RGB (H, W, 3).

    What lies outside the range counts as its nearest end. Raises `OnnxCamError`.
    """
    require_colormap(colormap)
    chosen = COLORMAPS[colormap]
    # OpenCV looks colours up as they stand in the table, so RGB stays RGB.
    return np.asarray(cv2.applyColorMap(chosen.entries(heat), chosen.table[:, None]))
