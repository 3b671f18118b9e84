"""Text that can be read: contrast, wrapping, letters that a font lacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxcam.images import Picture
from onnxcam.overlay.contrast import luminance
from onnxcam.overlay.text import MOST_LINES, Caption, line_height, text_width, write

LONG = "tiger cat, Felis silvestris catus, a striped one that lies on a radiator in the afternoon"


def caption(text: str, width: int, size: int) -> Picture:
    made = Caption.of(text, size, width)
    return made.drawn(len(made.lines))


def wrapped(text: str, size: int, width: int) -> tuple[str, ...]:
    return Caption.of(text, size, width + size).lines


def test_a_caption_is_black_on_white() -> None:
    strip = caption("Egyptian cat", 200, 14)
    assert strip.shape[1] == 200
    ink, paper = (luminance(tuple(end(axis=(0, 1)))) for end in (strip.min, strip.max))
    assert (paper + 0.05) / (ink + 0.05) > 15  # WCAG AAA asks for 7
    across = np.flatnonzero((strip < 128).any(axis=(0, 2)))
    assert abs((across[0] + across[-1]) / 2 - 100) < 3
    assert across[-1] - across[0] == pytest.approx(text_width("Egyptian cat", 14), abs=4)


def test_a_larger_letter_is_larger() -> None:
    assert text_width("cat", 28) == pytest.approx(2 * text_width("cat", 14), abs=3)
    assert line_height(28) > line_height(14)


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=80), st.integers(60, 300))
def test_no_line_is_wider_than_its_place(text: str, width: int) -> None:
    made = Caption.of(text, 12, width)
    assert len(made.lines) <= MOST_LINES
    assert bool(made.lines) == bool(text.strip())
    assert all(made.letters.width(line) <= width - 12 for line in made.lines)


def test_no_text_takes_no_room() -> None:
    assert caption(" ", 100, 14).shape == (0, 100, 3)


def test_a_long_label_breaks_between_words() -> None:
    lines = wrapped(LONG, 12, 300)
    assert len(lines) > 1
    assert " ".join(lines) == LONG


def test_what_is_left_out_of_a_label_is_marked() -> None:
    lines = wrapped(LONG * 900, 12, 200)
    assert len(lines) == MOST_LINES
    assert lines[-1].endswith("...")


def test_a_word_wider_than_the_line_is_cut() -> None:
    assert wrapped("x" * 100_000, 12, 250)[-1].endswith("x...")
    lines = wrapped("x" * 60, 12, 250)
    assert "".join(lines) == "x" * 60
    assert len(lines) > 1


@pytest.mark.parametrize("text", ["Ägyptische Katze", "Кошка λ", "猫 ねこ", "a\nb", "\u202e\x00"])
def test_any_label_can_be_written(text: str) -> None:
    strip = caption(text, 300, 16)
    assert strip.dtype == np.uint8
    assert strip.shape[0] == line_height(16) + 16 // 3


def test_a_letter_that_no_font_has_is_a_question_mark() -> None:
    unknown, mark = caption("\ue123", 60, 20), caption("?", 60, 20)
    np.testing.assert_array_equal(unknown, mark)


def test_a_text_of_nothing_leaves_the_picture() -> None:
    picture = np.full((20, 20, 3), 255, np.uint8)
    np.testing.assert_array_equal(write(picture, "", (2, 2), 12), picture)
