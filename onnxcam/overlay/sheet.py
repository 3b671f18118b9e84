"""Several pictures on one white sheet, each with its caption."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from onnxcam.errors import OnnxCamError
from onnxcam.images import Picture
from onnxcam.overlay.text import Caption

SMALLEST, LARGEST = 256, 1024
"""Pixels of the longest side of a sheet's cells."""
WIDEST = 4096
"""Pixels that a sheet is wide, as long as its cells are not smaller than the smallest."""


def grid(
    cells: Sequence[Picture],
    captions: Sequence[str] | None = None,
    columns: int | None = None,
) -> Picture:
    """Pictures in rows of `columns`, each below its caption: uint8 RGB.

    Each is scaled so that its longest side is that of the largest picture, within 256 and 1024
    pixels, less in many columns. Without `columns` up to four are in one row, more in about as
    many rows as columns. Raises `OnnxCamError` for no pictures, or not as many captions as
    pictures.
    """
    side = _side(cells, columns or _columns(len(cells)))
    return placed([fitted(cell, side) for cell in cells], captions, columns)


def scaled(cells: Sequence[Picture]) -> list[Picture]:
    """Pictures scaled by one factor, so that what is in proportion stays so: the longest side of
    all is 256 to 1024 pixels."""
    side = _side(cells, len(cells))
    factor = side / max(max(cell.shape[:2]) for cell in cells)
    return [resized(cell, factor, factor) for cell in cells]


def _side(cells: Sequence[Picture], columns: int) -> int:
    if not cells:
        raise OnnxCamError("a sheet needs at least one picture")
    longest = max(max(cell.shape[:2]) for cell in cells)
    return max(SMALLEST, min(longest, LARGEST, WIDEST // columns))


def fitted(picture: Picture, side: int) -> Picture:
    """A picture scaled so that its longest side is `side` pixels."""
    factor = side / max(picture.shape[:2])
    return resized(picture, factor, factor)


def resized(picture: Picture, rows: float, columns: float) -> Picture:
    """A picture `rows` times as high and `columns` times as wide: averaged where it shrinks,
    cubic where it grows."""
    if rows == columns == 1:
        return picture
    height, width = picture.shape[:2]
    size = max(1, round(width * columns)), max(1, round(height * rows))
    shrinks = rows < 1 or columns < 1
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how))


def letter_size(side: int) -> int:
    """Pixels of letters that can be read beside a picture whose longest side is `side`."""
    return max(13, round(side / 24))


def placed(
    cells: Sequence[Picture],
    captions: Sequence[str] | None = None,
    columns: int | None = None,
) -> Picture:
    """`grid`, with the pictures in the size that they have."""
    captions = [""] * len(cells) if captions is None else captions
    if len(captions) != len(cells):
        raise OnnxCamError(f"{len(cells)} pictures and {len(captions)} captions on a sheet")
    columns = columns or _columns(len(cells))
    size = letter_size(max(max(cell.shape[:2]) for cell in cells))
    widths = [
        max(cell.shape[1] for cell in cells[k::columns]) for k in range(min(columns, len(cells)))
    ]
    widths = [max(width, 6 * size) for width in widths]
    rows = [
        _row(cells[k : k + columns], captions[k : k + columns], widths, size)
        for k in range(0, len(cells), columns)
    ]
    gap = size // 2
    sheet = np.concatenate(rows)
    return np.pad(sheet, ((gap, 0), (gap, 0), (0, 0)), constant_values=255)


def _columns(count: int) -> int:
    return count if count <= 4 else math.ceil(math.sqrt(count))


def _row(
    cells: Sequence[Picture], captions: Sequence[str], widths: Sequence[int], size: int
) -> Picture:
    """One row, a margin to the right and below."""
    titles = [Caption.of(text, size, w) for text, w in zip(captions, widths, strict=False)]
    lines = max(len(title.lines) for title in titles)
    top = titles[0].drawn(lines).shape[0]
    gap = size // 2
    height = max(cell.shape[0] for cell in cells)
    row = np.full((top + height + gap, sum(widths) + gap * len(widths), 3), 255, np.uint8)
    left = 0
    for cell, title, width in zip(cells, titles, widths, strict=False):
        row[:top, left : left + width] = title.drawn(lines)
        across = left + (width - cell.shape[1]) // 2
        row[top : top + cell.shape[0], across : across + cell.shape[1]] = cell
        left += width + gap
    return row


def beside(left: Picture, right: Picture) -> Picture:
    """Two pictures side by side on white, the lower one in the middle of the other's height."""
    height = max(left.shape[0], right.shape[0])
    return np.concatenate([_to_height(left, height), _to_height(right, height)], axis=1)


def _to_height(picture: Picture, height: int) -> Picture:
    above = (height - picture.shape[0]) // 2
    below = height - picture.shape[0] - above
    return np.pad(picture, ((above, below), (0, 0), (0, 0)), constant_values=255)
