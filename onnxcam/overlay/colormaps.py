"""Colours by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

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


def _opencv(kind: str) -> Colormap:
    """One of OpenCV's."""
    table = cv2.applyColorMap(_RAMP[:, None], getattr(cv2, kind))
    return Colormap(np.ascontiguousarray(table[:, 0, ::-1]))


def _rainbow() -> Colormap:
    """matplotlib's, its entries cut to whole numbers as there."""
    curves = [abs(2 * _UNIT - 0.5), np.sin(np.pi * _UNIT), np.cos(np.pi / 2 * _UNIT)]
    return Colormap((np.clip(np.stack(curves, axis=1), 0, 1) * 255).astype(np.uint8), steps=256)


def _gray() -> Colormap:
    return Colormap(np.repeat(_RAMP[:, None], 3, axis=1))


_OPENCV = {
    kind.removeprefix("COLORMAP_").lower(): partial(_opencv, kind)
    for kind in dir(cv2)
    if kind.startswith("COLORMAP_")
}


class _Colormaps(Mapping[str, Colormap]):
    """Colormaps by name, each made when it is first asked for: a run needs one of them."""

    def __init__(self, makers: Mapping[str, Callable[[], Colormap]]) -> None:
        self._makers = dict(sorted(makers.items()))
        self._made: dict[str, Colormap] = {}

    def __getitem__(self, name: str) -> Colormap:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


# One name, two colormaps (violet to red, red to magenta): published heatmaps mean matplotlib's.
COLORMAPS: Mapping[str, Colormap] = _Colormaps(
    {**_OPENCV, "cv-rainbow": _OPENCV["rainbow"], "rainbow": _rainbow, "gray": _gray}
)
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
