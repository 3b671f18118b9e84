"""Words on pictures: captions of cells, numbers beside axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from onnxcam.images import Picture
from onnxcam.overlay.contrast import BLACK
from onnxcam.overlay.lettering import Lettering

MOST_LINES = 3
"""Lines of a caption; what is longer ends in an ellipsis."""

ELLIPSIS = "..."

_SPACING = 1.3
"""Height of a line over that of the letters."""


def line_height(size: int) -> int:
    """Pixels from one line to the next, for letters of `size` pixels."""
    return round(_SPACING * size)


def text_width(text: str, size: int) -> int:
    """Pixels that a text of letters of `size` pixels takes on one line."""
    letters = Lettering.of(text, size)
    return letters.width(letters.spelled(text))


def write(
    picture: Picture, text: str, at: tuple[float, float], size: int, anchor: str = "la"
) -> Picture:
    """A picture with one line of text on it, black, in letters of `size` pixels.

    `at` is x and y of the text's `anchor` (Pillow's: "la" its top left corner, "mm" its middle).
    """
    letters = Lettering.of(text, size)
    return _written(picture, letters.spelled(text), at, letters, anchor)


@dataclass(frozen=True)
class Caption:
    """A text broken into lines that fit above a cell `width` pixels wide; none for no text.

    Breaks are between words, or inside of one that is wider than a line.
    """

    lines: tuple[str, ...]
    letters: Lettering
    width: int

    @classmethod
    def of(cls, text: str, size: int, width: int) -> Caption:
        """A text in letters of `size` pixels."""
        room = max(1, width - size)
        text = text[: MOST_LINES * room + 1]  # no letter takes less than a pixel
        letters = Lettering.of(text, size)
        return cls(tuple(_wrapped(letters.spelled(text), letters, room)), letters, width)

    def drawn(self, lines: int) -> Picture:
        """Black in the middle of a white strip that has room for so many lines: uint8 RGB."""
        size = self.letters.size
        height = line_height(size)
        above = size // 3 if lines else 0
        strip = np.full((height * lines + above, self.width, 3), 255, np.uint8)
        for number, line in enumerate(self.lines):
            middle = (self.width / 2, height * (number + 0.5))
            strip = _written(strip, line, middle, self.letters, "mm")
        return strip


def _written(
    picture: Picture, text: str, at: tuple[float, float], letters: Lettering, anchor: str
) -> Picture:
    from PIL import Image, ImageDraw  # as in `lettering`

    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(at, text, BLACK, letters.font, anchor=anchor)
    return np.asarray(image)


def _wrapped(text: str, letters: Lettering, room: int) -> list[str]:
    lines: list[str] = []
    for word in _pieces(text.split(), letters, room):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and letters.width(longer) <= room:
            lines[-1] = longer
        elif len(lines) < MOST_LINES:
            lines.append(word)
        else:
            rest = room - letters.width(ELLIPSIS)
            last = lines[-1][: letters.fitting(lines[-1], rest)].rstrip()
            return [*lines[:-1], last + ELLIPSIS]
    return lines


def _pieces(words: Sequence[str], letters: Lettering, room: int) -> Iterator[str]:
    """The words, those wider than a line cut where it ends."""
    for word in words:
        while letters.width(word) > room and len(word) > 1:
            fits = max(1, letters.fitting(word, room))
            yield word[:fits]
            word = word[fits:]
        yield word
