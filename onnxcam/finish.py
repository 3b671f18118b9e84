"""From the raw map to the heatmap: scaled to [0, 1], and enlarged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.frame import Frame
from onnxcam.interpolation import KERNELS

Levels = tuple[float, float]
"""The values that become 0 and 1."""


@dataclass(frozen=True)
class Finish:
    """How a raw map becomes a heatmap.

    `normalization`: "min-max" is that of the map's positive part, so that a signed map shows what
    speaks for the target; "max" divides the positive part by its maximum; "full" is the min-max of
    the whole signed map, as CAM was first drawn. `interpolation` enlarges: "linear", "cubic" (as
    OpenCV) or "nearest". `again` scales to [0, 1] once more behind that, as pytorch-grad-cam does:
    between the middles of its pixels an enlarged map does not reach its extremes.
    """

    normalization: str = "min-max"
    interpolation: str = "linear"
    again: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (
            ("normalization", self.normalization, NORMALIZATIONS),
            ("interpolation of heat", self.interpolation, KERNELS),
        ):
            if value not in known:
                raise OnnxCamError(
                    f"no {name} '{value}'{nearest(value, known)}; there are {', '.join(known)}"
                )

    def unit(self, raw: np.ndarray, outliers: float = 0.0) -> np.ndarray:
        """A raw map scaled to [0, 1] at its own resolution, float32.

        All 0 where it says nothing: not finite, the same everywhere, or nowhere positive. The
        hottest places, a share of `outliers`, count as hot as the hottest other one.
        """
        values = raw.astype(np.float64)
        if self.normalization != "full":
            values = np.maximum(values, 0)
        if not np.isfinite(values).all() or values.min() == values.max():
            return np.zeros_like(raw, dtype=np.float32)
        low, high = NORMALIZATIONS[self.normalization](values)
        # Without outliers the quantile is the maximum; it would cost the import of numpy.ma.
        usual = float(np.quantile(values, 1 - outliers) if outliers else values.max())
        if usual > low:
            high = min(high, usual)
        return _scaled(values, (low, high))

    def heatmap(self, raw: np.ndarray, frame: Frame, outliers: float = 0.0) -> np.ndarray:
        """The heat on the model's input, float32 in [0, 1]."""
        whole = Frame.whole(frame.input)
        heat = whole.back(self.unit(raw, outliers), self.interpolation)
        return _scaled(heat, self._levels(heat))

    def on_source(self, raw: np.ndarray, frame: Frame, outliers: float = 0.0) -> np.ndarray:
        """The heat on the source, float32 in [0, 1], in one step from the raw map's resolution.

        Levels are those of the heat on the input; what the model did not see is 0.
        """
        unit = self.unit(raw, outliers)
        levels = self._levels(Frame.whole(frame.input).back(unit, self.interpolation))
        return _scaled(frame.back(unit, self.interpolation, unseen=levels[0]), levels)

    def _levels(self, heat: np.ndarray) -> Levels:
        low, high = float(heat.min()), float(heat.max())
        return (low, high) if self.again and low < high else (0.0, 1.0)


def _scaled(values: np.ndarray, levels: Levels) -> np.ndarray:
    """float32 in [0, 1]; the values are overwritten, for heat may be as large as photographs."""
    low, high = levels
    if levels != (0.0, 1.0):
        values -= low
        values /= high - low
    return np.clip(values, 0, 1, out=values).astype(np.float32, copy=False)


NORMALIZATIONS: dict[str, Callable[[np.ndarray], Levels]] = {
    "min-max": lambda values: (float(values.min()), float(values.max())),
    "max": lambda values: (0.0, float(values.max())),
    "full": lambda values: (float(values.min()), float(values.max())),
}
"""What becomes 0 and 1 of a map's values (the positive ones, but for "full")."""
