"""Sheets: where cells lie, and how large they are."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import photo

from onnxcam.errors import OnnxCamError
from onnxcam.overlay import Look, draw, fitted, grid
from onnxcam.overlay.bar import color_bar
from onnxcam.overlay.colormaps import colorize
from onnxcam.overlay.sheet import LARGEST, SMALLEST, letter_size, placed, scaled


def flat(height: int, width: int, color: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


RED, BLUE, GREEN = ((200, 0, 0), (0, 0, 200), (0, 200, 0))


def extent(sheet: np.ndarray, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what has a colour."""
    rows, columns = np.nonzero((sheet == color).all(axis=2))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_cells_keep_their_size_and_order() -> None:
    sheet = placed([flat(300, 260, c) for c in (RED, BLUE, GREEN)], ["a", "b", "c"], columns=2)
    red, blue, green = (extent(sheet, color) for color in (RED, BLUE, GREEN))
    for top, bottom, left, right in (red, blue, green):
        assert (bottom - top, right - left) == (300, 260)
    assert red[0] == blue[0]
    assert red[3] < blue[2]
    assert green[2] == red[2]
    assert green[0] > red[1]


def test_each_caption_is_above_its_cell() -> None:
    sheet = placed([flat(300, 260, RED), flat(300, 260, BLUE)], ["left", ""])
    top, _, left, right = extent(sheet, RED)
    assert (sheet[:top, left:right] < 100).any()
    assert (sheet[:top, right:] == 255).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (4, 4), (5, 3), (9, 3), (10, 4)])
def test_more_than_four_are_in_several_rows(count: int, columns: int) -> None:
    sheet = grid([flat(256, 256, RED)] * count)
    assert sheet.shape[1] // 256 == columns
    assert sheet.shape[0] // 256 == -(-count // columns)


@pytest.mark.parametrize(
    ("height", "width", "longest"),
    [(64, 48, SMALLEST), (1, 1, SMALLEST), (500, 400, 500), (3000, 4000, LARGEST)],
)
def test_cells_are_of_a_size_that_can_be_looked_at(height: int, width: int, longest: int) -> None:
    sheet = grid([flat(height, width, RED)])
    top, bottom, left, right = extent(sheet, RED)
    assert max(bottom - top, right - left) == longest
    assert (bottom - top) / (right - left) == pytest.approx(height / width, rel=0.02)


def test_pictures_of_all_sizes_are_as_large_as_each_other() -> None:
    sheet = grid([flat(64, 64, RED), flat(800, 800, BLUE)])
    sizes = [extent(sheet, color) for color in (RED, BLUE)]
    assert len({bottom - top for top, bottom, _, _ in sizes}) == 1


def test_what_is_scaled_together_stays_in_proportion() -> None:
    small, large = scaled([flat(20, 10, RED), flat(40, 40, BLUE)])
    assert (small.shape, large.shape) == ((128, 64, 3), (256, 256, 3))


def test_fitted_has_the_side_that_was_asked_for() -> None:
    assert fitted(flat(30, 60, RED), 120).shape == (60, 120, 3)


def test_letters_grow_with_the_cells() -> None:
    assert letter_size(64) >= 13
    assert letter_size(1024) > 2 * letter_size(300)


def test_sheets_of_nothing_and_wrong_captions_are_refused() -> None:
    with pytest.raises(OnnxCamError, match="at least one"):
        grid([])
    with pytest.raises(OnnxCamError, match="1 pictures and 2 captions"):
        grid([flat(2, 2, RED)], ["a", "b"])


def test_the_colour_bar_runs_from_hot_to_cold() -> None:
    bar = color_bar(300, Look(colormap="viridis", threshold=0.25), 14)
    assert bar.shape[0] == 300
    column = bar[:, 14].astype(int)
    hot, half = (colorize(np.full((1, 1), h), "viridis")[0, 0] for h in (1.0, 0.5))
    assert abs(column[10] - hot).max() < 6
    assert abs(column[150] - half).max() < 6
    assert (column[-20] == 255).all()  # below the threshold
    assert (bar[:, 35:] < 128).any()  # numbers


def test_the_heatmap_has_its_bar_at_its_side() -> None:
    heat = np.linspace(0, 1, 300 * 400, dtype=np.float32).reshape(300, 400)
    sheet = draw(np.zeros((300, 400, 3), np.uint8), heat, Look("heatmap-bar", colormap="rainbow"))
    np.testing.assert_array_equal(sheet[:300, :400], colorize(heat, "rainbow"))
    assert sheet.shape[1] > 400
    assert (sheet[:, 405:] != 255).any()


def test_the_panel_shows_picture_heat_and_two_blends() -> None:
    picture = fitted(photo(), 320)
    heat = np.linspace(0, 1, picture.shape[0] * picture.shape[1], dtype=np.float32)
    heat = heat.reshape(picture.shape[:2])
    sheet = draw(picture, heat, Look("panel", colormap="rainbow"))
    wanted = [
        picture,
        colorize(heat, "rainbow"),
        draw(picture, heat, Look("blend", "rainbow", alpha=0.7)),
        draw(picture, heat, Look("blend", "rainbow", alpha=0.3)),
    ]
    height, width = picture.shape[:2]
    top = sheet.shape[0] - height - 1
    while not (sheet[top + height] == 255).all() or (sheet[top + height - 1] == 255).all():
        top -= 1
    left = 0
    for cell in wanted:
        places = range(left, sheet.shape[1] - width + 1)
        left = width + next(
            x for x in places if np.array_equal(sheet[top : top + height, x : x + width], cell)
        )
