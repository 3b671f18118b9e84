"""Signals as line plots, the heat behind them."""

from __future__ import annotations

import math

import cv2
import numpy as np

from onnxcam.errors import OnnxCamError
from onnxcam.images import Picture
from onnxcam.overlay.bar import color_bar
from onnxcam.overlay.contrast import BLACK, WHITE
from onnxcam.overlay.drawing import PAINTERS
from onnxcam.overlay.look import Look
from onnxcam.overlay.sheet import beside
from onnxcam.overlay.style import SHEETS
from onnxcam.overlay.text import text_width, write
from onnxcam.signals import Signal

WIDTH = 960
HEIGHT, LOWEST = 640, 56
"""Pixels of all rows together, and the least of one."""
LETTERS = 16


def draw_signal(signal: Signal, heat: np.ndarray, look: Look) -> Picture:
    """A plot of a signal (L, C), a row a channel, over the colours of its heat (L,) in [0, 1].

    Heat is drawn on white in the look's style; `enlarge` makes the whole plot larger. Raises
    `OnnxCamError` where the lengths differ, or for a style of `SHEETS`.
    """
    length, channels = signal.values.shape
    if heat.shape != (length,):
        raise OnnxCamError(f"heat {heat.shape} is not of the signal's length ({length},)")
    if look.style in SHEETS:
        raise OnnxCamError(f"no '{look.style}' of a signal; take 'blend', 'fade' or another style")
    size = LETTERS * look.enlarge
    width = WIDTH * look.enlarge
    height = max(LOWEST, min(HEIGHT // channels, HEIGHT // 2)) * look.enlarge
    background = _background(heat, width, height, look)
    rows = [_row(signal.values[:, k], background, size) for k in range(channels)]
    labels = [_vertical(signal.values[:, k], height, size) for k in range(channels)]
    margin = max(label.shape[1] for label in labels)
    labels = [_widened(label, margin) for label in labels]
    gap = np.full((size // 2, width + margin, 3), 255, np.uint8)
    parts = [gap]
    for number, (label, row) in enumerate(zip(labels, rows, strict=True)):
        if channels > 1:
            parts.append(_title(f"channel {number}", margin, width, size))
        parts += [np.concatenate([label, row], axis=1), gap]
    bar = color_bar(sum(part.shape[0] for part in parts), look, size)
    plot = beside(np.concatenate(parts), bar)
    return np.concatenate([plot, _horizontal(length, margin, width, plot.shape[1], size)])


def _background(heat: np.ndarray, width: int, height: int, look: Look) -> Picture:
    """White with the heat on it, a column a place."""
    columns = np.tile(_resampled(np.asarray(heat, np.float32), width), (height, 1))
    white = np.full((height, width, 3), 255, np.uint8)
    return PAINTERS[look.style](white, columns, look)


def _resampled(heat: np.ndarray, width: int) -> np.ndarray:
    """The heat at each column: the hottest of its samples, or between two where they are fewer."""
    if len(heat) <= width:
        places = np.linspace(0, len(heat) - 1, width)
        return np.interp(places, np.arange(len(heat)), heat).astype(np.float32)
    return np.maximum.reduceat(heat, np.arange(width) * len(heat) // width)


def _row(values: np.ndarray, background: Picture, size: int) -> Picture:
    """One channel as a black line with a white edge over the background, in a frame."""
    height, width = background.shape[:2]
    row = background.copy()
    finite = np.isfinite(values)
    x = np.linspace(0, width - 1, len(values)) if len(values) > 1 else np.array([width / 2])
    y = _height_of(values, values[finite], height)
    # Many samples a pixel are a band by themselves.
    line = size // 8 if len(values) <= width else size // 16
    for color, thickness in ((WHITE, line + size // 8), (BLACK, line)):
        for part in _runs(finite):
            points = np.stack([x[part], y[part]], axis=1)
            if len(points) == 1:
                points = np.concatenate([points, points + np.array([1, 0])])
            # Sixteenths of a pixel: OpenCV's coordinates are whole numbers.
            fixed = np.rint(points * 16).astype(np.int32)
            cv2.polylines(row, [fixed], False, color, thickness, cv2.LINE_AA, shift=4)
    cv2.rectangle(row, (0, 0), (width - 1, height - 1), (120, 120, 120), 1)
    return row


def _title(name: str, margin: int, width: int, size: int) -> Picture:
    strip = np.full((size, margin + width, 3), 255, np.uint8)
    return write(strip, name, (margin, size / 2), round(0.8 * size), "lm")


def _runs(finite: np.ndarray) -> list[slice]:
    """Where a signal has values, in one piece each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], finite.astype(np.int8), [0]])))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _range(finite: np.ndarray) -> tuple[float, float]:
    """The values at the bottom and at the top of a row: a little room around the signal's own."""
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    room = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return low - room, high + room


def _height_of(values: np.ndarray, finite: np.ndarray, height: int) -> np.ndarray:
    low, high = _range(finite)
    return np.asarray((high - values.astype(np.float64)) / (high - low) * (height - 1))


def _vertical(values: np.ndarray, height: int, size: int) -> Picture:
    """The numbers at the left of a row."""
    finite = values[np.isfinite(values)]
    marks = ticks(*_range(finite), max(2, height // (3 * size)))
    if len(marks) < 2 and finite.size:
        marks = sorted({float(finite.min()), float(finite.max())})
    texts = [f"{mark:.3g}" for mark in marks]
    width = max(text_width(text, size) for text in texts) + size
    strip = np.full((height, width, 3), 255, np.uint8)
    for text, y in zip(texts, _height_of(np.array(marks), finite, height), strict=True):
        inside = min(max(float(y), size / 2), height - size / 2)
        strip = write(strip, text, (width - size / 2, inside), size, "rm")
    return strip


def _horizontal(length: int, margin: int, width: int, whole: int, size: int) -> Picture:
    """The samples' numbers below the plot."""
    strip = np.full((round(1.6 * size), whole, 3), 255, np.uint8)
    for mark in ticks(0, max(length - 1, 1), 8):
        if mark == int(mark):
            x = margin + mark / max(length - 1, 1) * (width - 1)
            strip = write(strip, f"{int(mark)}", (x, size / 4), size, "ma")
    return strip


def _widened(strip: Picture, width: int) -> Picture:
    white = np.full((strip.shape[0], width - strip.shape[1], 3), 255, np.uint8)
    return np.concatenate([white, strip], axis=1)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, about `most` of them: steps of 1, 2 or 5 times 10^n."""
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(k * power for k in (1, 2, 5, 10) if k * power * most >= span * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]
