"""Which colours stand out from each other."""

from __future__ import annotations

import numpy as np

Color = tuple[int, int, int]

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


def luminance(color: Color) -> float:
    """Relative luminance of an sRGB colour, 0 (black) to 1 (WCAG 2.2)."""
    unit = np.array(color) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def opposite(color: Color) -> Color:
    """Black or white, whichever has the higher contrast, (L1 + 0.05) / (L2 + 0.05), to a colour."""
    bright = (luminance(color) + 0.05) ** 2 > 0.05 * 1.05
    return BLACK if bright else WHITE
