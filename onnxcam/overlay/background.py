"""What of a picture is background: the black around a scan."""

from __future__ import annotations

import cv2
import numpy as np

from onnxcam.images import Picture

FAINT = 16
"""Grey levels (0 to 255) up to which the edge of a picture counts as noise around an object."""

_DEVIATIONS = 3
_SPECKS = 5
"""Pixels of the square whose majority decides, so that specks of noise do not."""


def background(picture: Picture) -> np.ndarray:
    """Bool (H, W), True where a picture, uint8 RGB (H, W, 3), is background.

    That is what is exactly black. Where the edge of the picture is faint noise instead (its upper
    quartile is from 1 to 16 grey levels), it is what is at most three times that bright, specks
    apart, and hangs together with the edge.
    """
    grey = picture.max(axis=2)
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    noise = float(np.quantile(edge, 0.75))
    if not 0 < noise <= FAINT:
        return np.asarray(grey == 0)
    dark = (grey <= _DEVIATIONS * noise).astype(np.uint8)
    _, parts = cv2.connectedComponents(cv2.medianBlur(dark, _SPECKS))
    outer = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    is_outer = np.zeros(int(parts.max()) + 1, bool)
    is_outer[outer] = True
    is_outer[0] = False  # what is not dark
    return np.asarray(is_outer[parts])
