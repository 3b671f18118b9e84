"""Heat on a picture, in the style that a look names."""

from __future__ import annotations

import numpy as np

from onnxcam.errors import OnnxCamError
from onnxcam.images import Picture
from onnxcam.overlay.look import Look
from onnxcam.overlay.panel import panel, with_bar
from onnxcam.overlay.sheet import resized
from onnxcam.overlay.styles import Painter, add, contour, fade, fusion, heatmap, weighted

PAINTERS: dict[str, Painter] = {
    "blend": weighted,
    "add": add,
    "sum": weighted,  # of blend it differs by the weights that it brings along
    "fusion": fusion,
    "contour": contour,
    "heatmap": heatmap,
    "fade": fade,
    "heatmap-bar": with_bar,
    "panel": panel,
}
"""The function of every style."""


def draw(picture: Picture, heat: np.ndarray, look: Look | None = None) -> Picture:
    """Heat, float (H, W) in [0, 1], on a picture of the same size, uint8 RGB (H, W, 3).

    Returns a picture of that size times `look.enlarge`; those of `SHEETS` have a size of their own.
    Raises `OnnxCamError` where the sizes differ.
    """
    look = look or Look()
    if heat.shape != picture.shape[:2]:
        raise OnnxCamError(f"heat {heat.shape} is not of the picture's size {picture.shape[:2]}")
    drawn = PAINTERS[look.style](picture, heat, look)
    return resized(drawn, look.enlarge, look.enlarge)
