"""The outline of a detected box, seen on any picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from onnxcam.images import Picture
from onnxcam.overlay.contrast import BLACK, WHITE


def outlined(picture: Picture, box: Sequence[float], enlarged: int = 1) -> Picture:
    """A picture with a box (x1, y1, x2, y2), in pixels of the picture before it was `enlarged`.

    The line is white between black ones, wider on large pictures; what lies outside the
    picture is drawn along its edge.
    """
    rows, columns = picture.shape[:2]
    width = max(1, round(min(rows, columns) / 150))
    limits = np.array([columns, rows, columns, rows]) - 1
    x1, y1, x2, y2 = np.clip(np.rint(np.array(box) * enlarged), 0, limits).astype(int).tolist()
    drawn = picture.copy()
    for color, thickness in ((BLACK, 3 * width), (WHITE, width)):
        cv2.rectangle(drawn, (x1, y1), (x2, y2), color, thickness)
    return drawn
