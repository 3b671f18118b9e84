"""What the styles do: one function each, from a picture, its heat and a look to a picture.

Pictures are uint8 RGB (H, W, 3), the heat is float32 (H, W) in [0, 1]. C are the heat's colours,
P is the picture, a and b are the look's weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import cv2
import numpy as np

from onnxcam.images import Picture
from onnxcam.overlay.background import background
from onnxcam.overlay.colormaps import colorize
from onnxcam.overlay.contrast import opposite
from onnxcam.overlay.look import Look

Painter = Callable[[Picture, np.ndarray, Look], Picture]

DARK = 80
"""Grey levels of a colour (0 to 255) up to which `fusion` leaves it out."""

LEVELS = (0.25, 0.5, 0.75)
"""Heat at which `contour` draws a line."""


def painted(heat: np.ndarray, look: Look) -> Picture:
    """The colours of the heat: its power `gamma` in the look's colormap."""
    if look.gamma != 1:
        heat = cv2.pow(np.asarray(heat, np.float32), look.gamma)
    return colorize(heat, look.colors)


def above_threshold(painter: Painter) -> Painter:
    """The style, with the picture left as it is where the heat is below the look's threshold."""

    @wraps(painter)
    def paint(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
        drawn = painter(picture, heat, look)
        if look.cut > 0:
            np.copyto(drawn, picture, where=(heat < look.cut)[..., None])
        return drawn

    return paint


@above_threshold
def weighted(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """a C + b P, cut off at white."""
    return np.asarray(_sum(painted(heat, look), picture, look, cv2.CV_8U))


@above_threshold
def add(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """(a C + b P) over its largest value, cut to whole numbers: `show_cam_on_image` of
    pytorch-grad-cam."""
    total = _sum(painted(heat, look), picture, look, cv2.CV_32F)
    total /= np.float32(max(float(total.max()), 1e-7))
    return np.asarray(255 * total).astype(np.uint8)


@above_threshold
def heatmap(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """C."""
    return painted(heat, look)


@above_threshold
def fade(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """a h C + (1 - a h) P, h the heat to the power gamma: transparent where it is cold."""
    opacity = np.asarray(heat, np.float32) ** np.float32(look.gamma) * np.float32(look.weights[0])
    return np.asarray(cv2.blendLinear(painted(heat, look), picture, opacity, 1 - opacity))


def fusion(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """b P with its background made white, plus a C where that is hot and not dark.

    For the background see `background`. C is added where the heat is at least the look's
    threshold (0.3) and the colour's grey level, 0.299 R + 0.587 G + 0.114 B, is above 80: in
    `rainbow` that leaves out the violet of no heat (entries 0 to 10) and the last red (253 to 255),
    in `jet` everything above 0.87, so `fusion` brings `rainbow` along. The sum is cut off at white.
    """
    whole = picture.copy()
    whole[background(picture)] = 255
    colors = painted(heat, look)
    kept = (heat >= look.cut) & (cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY) > DARK)
    colors[~kept] = 0
    return np.asarray(_sum(colors, whole, look, cv2.CV_8U))


def contour(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """Lines around what is at least 0.25, 0.5 and 0.75 hot, in the colours of that heat.

    Each has an outline, black or white, whichever stands out more from it, so that it shows on any
    picture. `alpha` is the opacity of the lines, levels below the threshold have none.
    """
    drawn = picture.copy()
    width = max(1, round(min(picture.shape[:2]) / 120))
    for level in LEVELS:
        if level < look.cut:
            continue
        lines = _lines(heat >= level, 2 * width + 2)
        color = painted(np.full((1, 1), level, np.float32), look)[0, 0]
        outline = opposite(tuple(color.tolist()))
        for shade, thickness in ((outline, 2 * width + 1), (color.tolist(), width)):
            cv2.drawContours(drawn, lines, -1, shade, thickness, cv2.LINE_AA)
    alpha, _ = look.weights
    return np.asarray(cv2.addWeighted(drawn, alpha, picture, 1 - alpha, 0))


def _lines(hot: np.ndarray, margin: int) -> list[np.ndarray]:
    """The edges of what is hot, none along the picture's own: that is as if the heat went on
    beyond it for `margin` pixels."""
    border = cv2.BORDER_REPLICATE
    wide = cv2.copyMakeBorder(hot.astype(np.uint8), margin, margin, margin, margin, border)
    lines, _ = cv2.findContours(wide, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return [line - margin for line in lines]


def _sum(colors: Picture, picture: Picture, look: Look, depth: int) -> np.ndarray:
    alpha, beta = look.weights
    return np.asarray(cv2.addWeighted(colors, alpha, picture, beta, 0, dtype=depth))
