"""Heat on a picture: colormaps and styles."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.images import Picture

COLORMAPS: dict[str, int] = {
    name.removeprefix("COLORMAP_").lower(): getattr(cv2, name)
    for name in sorted(dir(cv2))
    if name.startswith("COLORMAP_")
}
"""OpenCV's colormaps by lower-case name."""

DEFAULT_COLORMAP = "jet"
DEFAULT_ALPHA = 0.5


def colorize(heatmap: np.ndarray, colormap: str = DEFAULT_COLORMAP) -> Picture:
    """A heatmap in [0, 1], (H, W), in the colours of a colormap: uint8 RGB (H, W, 3)."""
    if colormap not in COLORMAPS:
        raise OnnxCamError(f"no colormap '{colormap}'{nearest(colormap, COLORMAPS)}")
    levels = np.rint(np.clip(heatmap, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, COLORMAPS[colormap])[..., ::-1])


def blend(picture: Picture, heat: Picture, alpha: float) -> Picture:
    """The weighted mean: alpha of the heat, the rest of the picture."""
    mixed = heat.astype(np.float32) * alpha + picture.astype(np.float32) * (1 - alpha)
    return np.rint(mixed).astype(np.uint8)


def add(picture: Picture, heat: Picture, alpha: float) -> Picture:
    """Heat and picture added and divided by the largest value, alpha the weight of the heat.

    At alpha 0.5 this is pytorch-grad-cam's `show_cam_on_image` with its default weight.
    """
    total = heat.astype(np.float32) * alpha + picture.astype(np.float32) * (1 - alpha)
    return np.rint(total / max(float(total.max()), 1e-7) * 255).astype(np.uint8)


Style = Callable[[Picture, Picture, float], Picture]

STYLES: dict[str, Style] = {"blend": blend, "add": add}


def require_style(style: str, colormap: str, alpha: float) -> None:
    """Raise `OnnxCamError` for an unknown style or colormap, or an alpha outside [0, 1]."""
    if style not in STYLES:
        raise OnnxCamError(f"no style '{style}'{nearest(style, STYLES)}")
    if colormap not in COLORMAPS:
        raise OnnxCamError(f"no colormap '{colormap}'{nearest(colormap, COLORMAPS)}")
    if not 0 <= alpha <= 1:
        raise OnnxCamError(f"alpha {alpha:g} is not between 0 and 1")


def draw(
    picture: Picture,
    heatmap: np.ndarray,
    style: str = "blend",
    colormap: str = DEFAULT_COLORMAP,
    alpha: float = DEFAULT_ALPHA,
) -> Picture:
    """The heatmap, float (H, W) in [0, 1], on a picture of the same size, uint8 RGB (H, W, 3).

    Raises `OnnxCamError` for an unknown style or colormap, or an alpha outside [0, 1].
    """
    require_style(style, colormap, alpha)
    return STYLES[style](picture, colorize(heatmap, colormap), alpha)
