"""Contrast as WCAG defines it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxcam.overlay.contrast import BLACK, WHITE, luminance, opposite


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_luminance_is_wcags() -> None:
    assert luminance(BLACK) == 0
    assert luminance(WHITE) == pytest.approx(1)
    assert luminance((255, 0, 0)) == pytest.approx(0.2126)
    assert luminance((128, 128, 128)) == pytest.approx(0.2159, abs=1e-4)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_opposite_of_a_colour_stands_out_from_it(color: tuple[int, int, int]) -> None:
    assert contrast(color, opposite(color)) > 4.5  # WCAG AA
    assert contrast(color, opposite(color)) == max(contrast(color, c) for c in (BLACK, WHITE))
