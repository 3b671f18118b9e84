"""Which font has the letters of a text."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_SYSTEM = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc", "msyh.ttc", "YuGothM.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc",
)  # fmt: skip
"""Fonts that systems come with, for letters that Pillow's own lacks."""

_NO_CHARACTER = "\uffff"


@dataclass(frozen=True)
class Lettering:
    """One font in one size, in pixels."""

    font: FreeTypeFont
    size: int

    @classmethod
    def of(cls, text: str, size: int) -> Lettering:
        """The font that has most of a text's letters, Pillow's own where several have."""
        return cls(max(_fonts(size), key=lambda one: sum(_has(one, c) for c in text)), size)

    def spelled(self, text: str) -> str:
        """A text on one line, as far as the font goes: a letter that it lacks without its
        accents, else as a question mark."""
        return "".join(self._nearest(letter) for letter in " ".join(text.split()))

    def width(self, text: str) -> int:
        """Pixels that a text takes on one line."""
        return math.ceil(self.font.getlength(text))

    def fitting(self, text: str, width: int) -> int:
        """How many letters of a text take at most that many pixels."""
        counts = range(1, len(text) + 1)
        count = bisect_right(counts, width, key=lambda count: self.width(text[:count]))
        while count and self.width(text[:count]) > width:  # some scripts' letters change in company
            count -= 1
        return count

    def _nearest(self, letter: str) -> str:
        plain = unicodedata.normalize("NFKD", letter)[:1]
        return next((one for one in (letter, plain) if _has(self.font, one)), "?")


@lru_cache(maxsize=128)
def _fonts(size: int) -> tuple[FreeTypeFont, ...]:
    """Pillow's own font, then those of the system that are there."""
    from PIL import ImageFont  # most pictures have no letters, and it is slow to import

    found = [ImageFont.load_default(size)]
    for name in _SYSTEM:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return tuple(font for font in found if isinstance(font, ImageFont.FreeTypeFont))


@lru_cache(maxsize=4096)
def _has(font: FreeTypeFont, letter: str) -> bool:
    """Whether a font draws a letter as something else than the box of an unknown one."""
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(_NO_CHARACTER))
