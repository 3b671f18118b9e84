"""Sheets about one picture: the heat with its colour bar, and four panels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxcam.images import Picture
from onnxcam.overlay.bar import color_bar
from onnxcam.overlay.look import Look
from onnxcam.overlay.sheet import beside, letter_size, placed, scaled
from onnxcam.overlay.styles import heatmap, weighted

STRONG, WEAK = 0.7, 0.3
"""Weight of the heat in the two overlays."""


def with_bar(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """The heat's colours, the longest side 256 to 1024 pixels, and a colour bar with numbers."""
    (cell,) = scaled([heatmap(np.full_like(picture, 255), heat, look)])
    return beside(cell, color_bar(cell.shape[0], look, letter_size(max(cell.shape[:2]))))


def panel(picture: Picture, heat: np.ndarray, look: Look) -> Picture:
    """Picture, heat with a colour bar, and `blend` with alpha 0.7 and 0.3, in one row.

    Each panel's longest side is 256 to 1024 pixels.
    """
    blend = replace(look, style="blend", colormap=look.colors, beta=None)
    drawn = [
        picture,
        heatmap(np.full_like(picture, 255), heat, look),
        weighted(picture, heat, replace(blend, alpha=STRONG)),
        weighted(picture, heat, replace(blend, alpha=WEAK)),
    ]
    cells = scaled(drawn)
    bar = color_bar(cells[1].shape[0], look, letter_size(max(cells[1].shape[:2])))
    cells[1] = beside(cells[1], bar)
    titles = ["picture", "heatmap", f"heat {STRONG:g}, picture {1 - STRONG:.1g}"]
    return placed(cells, [*titles, f"heat {WEAK:g}, picture {1 - WEAK:.1g}"])
