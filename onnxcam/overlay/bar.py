"""The colour bar: which colour is how much heat."""

from __future__ import annotations

import numpy as np

from onnxcam.images import Picture
from onnxcam.overlay.look import Look
from onnxcam.overlay.styles import painted
from onnxcam.overlay.text import line_height, text_width, write

NUMBERS = ("1", "0.75", "0.5", "0.25", "0")
_FEWER = NUMBERS[::2]
_FEWEST = NUMBERS[::4]


def color_bar(height: int, look: Look, size: int) -> Picture:
    """Heat 1 at the top to 0 at the bottom in a look's colours, numbers in letters of `size`
    pixels beside them: uint8 RGB, at least as high as `height` and as three lines.

    What is below the look's threshold is white.
    """
    height = max(height, 3 * line_height(size))
    margin = size // 2 + 1
    rows = np.linspace(1, 0, height - 2 * margin, dtype=np.float32)[:, None]
    colors = painted(rows, look)
    colors[rows < look.cut] = 255
    widest = max(text_width(number, size) for number in NUMBERS)
    bar = np.full((height, 3 * size + widest, 3), 255, np.uint8)
    _frame(bar[margin - 1 : height - margin + 1, size // 2 : size // 2 + size + 2])
    bar[margin : height - margin, size // 2 + 1 : size // 2 + size + 1] = colors
    for number in _fitting(height, size):
        y = margin + (1 - float(number)) * (height - 2 * margin - 1)
        bar = write(bar, number, (2 * size, y), size, "lm")
    return bar


def _frame(part: Picture) -> None:
    part[:] = 120


def _fitting(height: int, size: int) -> tuple[str, ...]:
    """As many numbers as there is room for."""
    room = height / line_height(size)
    return NUMBERS if room >= 10 else _FEWER if room >= 5 else _FEWEST
