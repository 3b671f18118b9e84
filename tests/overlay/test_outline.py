"""Outlines of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from onnxcam.overlay.outline import outlined


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_box_shows_on_any_picture(shade: int) -> None:
    picture = np.full((60, 80, 3), shade, np.uint8)
    drawn = outlined(picture, (10.2, 20.4, 50.0, 40.0))
    changed = (drawn != picture).any(2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max()) == pytest.approx((20, 40), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((10, 50), abs=2)
    assert not changed[25:36, 15:46].any()
    assert (picture == shade).all()


def test_a_box_grows_with_the_picture() -> None:
    drawn = outlined(np.zeros((120, 160, 3), np.uint8), (10, 20, 50, 40), 2)
    rows, columns = np.nonzero(drawn.any(2))
    assert (rows.min(), columns.max()) == pytest.approx((40, 100), abs=2)


def test_what_lies_outside_is_drawn_along_the_edge() -> None:
    drawn = outlined(np.zeros((20, 20, 3), np.uint8), (-5, -5, 30, 30))
    assert (drawn[0] == 255).all()
    assert (drawn[:, 19] == 255).all()
