"""How an explanation is to look: style, colours, weights, and which part of a volume."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.overlay.colormaps import require_colormap
from onnxcam.overlay.style import STYLES, Style

Layout = Literal["slice", "montage", "planes"]
LAYOUTS: tuple[str, ...] = get_args(Layout)

LARGEST_ENLARGEMENT = 16
MIDDLE = "middle"


@dataclass(frozen=True)
class Look:
    """How heat is drawn on a picture.

    `style` is one of `STYLES`. None stands for what the style itself brings along: `colormap` one
    of `COLORMAPS`, `alpha` the weight of the heat and `beta` that of the picture, both in [0, 1],
    and `threshold`, the heat in [0, 1] below which the picture is left as it is. `gamma` is the
    power that the heat is raised to before it is painted: below 1 shows weak heat, above 1 hides
    it. `base` is the colormap of grey pictures (slices of volumes). `enlarge`, a whole number, is
    how often as wide and high the finished picture is (cubic interpolation).

    Raises `OnnxCamError` for what is none of these.
    """

    style: str = "blend"
    colormap: str | None = None
    alpha: float | None = None
    beta: float | None = None
    gamma: float = 1.0
    threshold: float | None = None
    base: str = "gray"
    enlarge: int = 1

    def __post_init__(self) -> None:
        _require(self.style, "style", STYLES)
        for name in (self.colormap, self.base):
            if name is not None:
                require_colormap(name)
        for word in ("alpha", "beta", "threshold"):
            value = getattr(self, word)
            if value is not None and not 0 <= value <= 1:
                raise OnnxCamError(f"{word} {value:g} is not between 0 and 1")
        if not (self.gamma > 0 and math.isfinite(self.gamma)):
            raise OnnxCamError(f"gamma {self.gamma:g} is not above 0; 1 leaves the heat as it is")
        if not (_whole(self.enlarge) and 1 <= self.enlarge <= LARGEST_ENLARGEMENT):
            raise OnnxCamError(
                f"enlarge {self.enlarge} is not a whole number from 1 to {LARGEST_ENLARGEMENT}"
            )

    @property
    def weights(self) -> tuple[float, float]:
        """What heat and picture count: alpha and beta, the style's where they are left out."""
        alpha = self._or_usual(self.alpha, lambda style: style.alpha)
        rest = self._or_usual(self.beta, lambda s: 1 - alpha if s.beta is None else s.beta)
        return alpha, rest

    @property
    def colors(self) -> str:
        """The colormap of the heat, the style's where it is left out."""
        return self.colormap or STYLES[self.style].colormap

    @property
    def cut(self) -> float:
        """The heat below which nothing is drawn, the style's where it is left out."""
        return self._or_usual(self.threshold, lambda style: style.threshold)

    def _or_usual(self, given: float | None, usual: Callable[[Style], float]) -> float:
        return usual(STYLES[self.style]) if given is None else given


@dataclass(frozen=True)
class View:
    """Which part of a volume (D, H, W) is shown.

    `layout` is "slice" (one, in voxels), "montage" (`count` of them side by side, evenly spread)
    or "planes" (one along each axis, through the hottest voxel). `axis` is the one that slices lie
    across, 0 to 2 in the order of the volume's own axes; `index` the slice's number, "middle", or
    None, that of the hottest voxel. `rotate` are quarter turns, counter-clockwise
    (`numpy.rot90`). `window` is (low, high), the volume's values that are drawn black and white;
    None its least and largest.

    Raises `OnnxCamError` for what is none of these.
    """

    layout: Layout = "slice"
    axis: int = 0
    index: int | str | None = None
    rotate: int = 0
    count: int = 9
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _require(self.layout, "layout", LAYOUTS)
        if self.axis not in (0, 1, 2):
            raise OnnxCamError(f"axis {self.axis} is none of a volume's; give 0, 1 or 2")
        for word in ("rotate", "count", "index"):
            value = getattr(self, word)
            if not (_whole(value) or (word == "index" and value in (None, MIDDLE))):
                raise OnnxCamError(f"{word} {value} is not a whole number")
        if self.count < 1:
            raise OnnxCamError(f"count {self.count}: a montage has at least 1 slice")
        if self.window is not None and not self.window[0] < self.window[1]:
            low, high = self.window
            raise OnnxCamError(f"window {low:g} to {high:g}: the first must be the lower one")


def _require(name: str, what: str, known: Iterable[str]) -> None:
    if name not in known:
        raise OnnxCamError(f"no {what} '{name}'{nearest(name, known)}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
