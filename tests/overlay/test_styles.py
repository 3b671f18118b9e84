"""Styles against their formulas in plain NumPy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from graphs import photo
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnxcam.errors import OnnxCamError
from onnxcam.overlay import STYLES, Look, colorize, draw
from onnxcam.overlay.style import SHEETS
from onnxcam.overlay.styles import LEVELS

SINGLE = [style for style in STYLES if style not in SHEETS]
HEAT = cv2.resize(
    np.random.default_rng(0).random((4, 5)).astype(np.float32), (32, 24)
).astype(np.float32)  # fmt: skip


def close(drawn: np.ndarray, expected: np.ndarray, levels: float = 0.51) -> None:
    np.testing.assert_allclose(drawn.astype(float), expected, atol=levels, rtol=0)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_blend_is_the_weighted_mean(alpha: float) -> None:
    close(
        draw(photo(), HEAT, Look("blend", alpha=alpha)),
        alpha * colorize(HEAT).astype(float) + (1 - alpha) * photo(),
    )


@pytest.mark.parametrize(
    ("look", "heat", "picture"),
    [(Look("sum"), 0.4, 1.0), (Look("sum", alpha=0.3, beta=0.5), 0.3, 0.5)],
)
def test_sum_is_cut_off_at_white(look: Look, heat: float, picture: float) -> None:
    total = heat * colorize(HEAT).astype(float) + picture * photo()
    close(draw(photo(), HEAT, look), np.minimum(total, 255))
    bright = np.full_like(photo(), 250)
    assert (draw(bright, HEAT, look) == 255).any() == (picture == 1)


@pytest.mark.parametrize("image_weight", [0.5, 0.2])
def test_add_is_show_cam_on_image(image_weight: float) -> None:
    image = np.float32(photo()) / 255
    jet = cv2.applyColorMap(np.uint8(255 * HEAT), cv2.COLORMAP_JET)[..., ::-1]
    cam = (1 - image_weight) * (np.float32(jet) / 255) + image_weight * image
    expected = np.uint8(255 * (cam / cam.max()))
    close(draw(photo(), HEAT, Look("add", alpha=1 - image_weight)), expected, levels=1)


def test_add_of_nothing_to_black_is_black() -> None:
    black = np.zeros((2, 2, 3), np.uint8)
    drawn = draw(black, np.zeros((2, 2), np.float32), Look("add", colormap="gray"))
    np.testing.assert_array_equal(drawn, black)


def test_heatmap_is_the_colours_alone() -> None:
    np.testing.assert_array_equal(
        draw(photo(), HEAT, Look("heatmap", "viridis")), colorize(HEAT, "viridis")
    )


def test_fade_is_transparent_where_it_is_cold() -> None:
    opacity = (0.8 * HEAT)[..., None]
    expected = opacity * colorize(HEAT) + (1 - opacity) * photo()
    close(draw(photo(), HEAT, Look("fade")), expected, levels=0.6)
    np.testing.assert_array_equal(draw(photo(), 0 * HEAT, Look("fade")), photo())


def test_fusion_adds_what_is_hot_and_not_dark_to_the_picture_on_white() -> None:
    picture = photo() // 2 + 1
    picture[:5, :7] = 0
    colors = colorize(HEAT, "rainbow").astype(float)
    grey = colors @ (0.299, 0.587, 0.114)
    kept = (HEAT >= 0.3) & (np.rint(grey) > 80)
    whole = np.where((picture == 0).all(2, keepdims=True), 255, picture)
    expected = np.minimum(whole + 0.4 * np.where(kept[..., None], colors, 0), 255)
    close(draw(picture, HEAT, Look("fusion")), expected)
    assert kept.any()
    assert not kept.all()


def test_fusion_leaves_the_colours_of_no_heat_out() -> None:
    picture = photo() // 2 + 1
    np.testing.assert_array_equal(
        draw(picture, 0 * HEAT, Look("fusion", threshold=0.0)), picture
    )  # the violet of rainbow's cold end has the grey level 67


def test_contours_run_where_the_heat_passes_their_level() -> None:
    ramp = np.tile(np.linspace(0, 1, 400, dtype=np.float32), (300, 1))
    grey = np.full((300, 400, 3), 128, np.uint8)
    drawn = draw(grey, ramp, Look("contour"))
    changed = np.flatnonzero((drawn != grey).any(axis=(0, 2)))
    places = np.array(LEVELS) * 399
    assert {int(abs(places - x).argmin()) for x in changed} == {0, 1, 2}
    assert max(abs(places - x).min() for x in changed) < 6
    for level, x in zip(LEVELS, places, strict=True):
        near = drawn[150, int(x) - 5 : int(x) + 6].astype(int)
        line = colorize(np.full((1, 1), level, np.float32))[0, 0].astype(int)
        assert (abs(near - line).max(axis=1) < 40).any()
        assert (near.max(axis=1) < 40).any()  # jet's colours are bright, so its outline is black


def test_contours_do_not_follow_the_edge_of_the_picture() -> None:
    hot = np.ones((24, 32), np.float32)
    np.testing.assert_array_equal(draw(photo(), hot, Look("contour")), photo())


def test_contours_below_the_threshold_are_left_out() -> None:
    ramp = np.tile(np.linspace(0, 1, 400, dtype=np.float32), (300, 1))
    grey = np.full((300, 400, 3), 128, np.uint8)
    drawn = draw(grey, ramp, Look("contour", threshold=0.5))
    assert (drawn[:, :180] == 128).all()
    assert (drawn[:, 190:210] != 128).any()


@pytest.mark.parametrize("style", ["blend", "sum", "add", "heatmap", "fade"])
def test_below_the_threshold_the_picture_stays(style: str) -> None:
    drawn = draw(photo(), HEAT, Look(style, "viridis", threshold=0.5))
    cold = HEAT < 0.5
    np.testing.assert_array_equal(drawn[cold], photo()[cold])
    whole = draw(photo(), HEAT, Look(style, "viridis"))
    np.testing.assert_array_equal(drawn[~cold], whole[~cold])
    assert (whole[cold] != photo()[cold]).any()


def test_gamma_is_the_power_of_the_heat() -> None:
    np.testing.assert_array_equal(
        draw(photo(), HEAT, Look("heatmap", "gray", gamma=2.0))[..., 0],
        np.uint8(255 * cv2.pow(HEAT, 2.0)),
    )


def test_enlarge_is_cubic() -> None:
    small = draw(photo(), HEAT, Look())
    np.testing.assert_array_equal(
        draw(photo(), HEAT, Look(enlarge=4)),
        cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC),
    )


def test_heat_of_another_size_is_refused() -> None:
    with pytest.raises(OnnxCamError, match="size"):
        draw(photo(), HEAT[1:], Look())


@settings(max_examples=60, deadline=None)
@given(
    style=st.sampled_from(SINGLE),
    heat=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(0, 1, width=32),
    ),
    level=st.integers(0, 255),
    gamma=st.floats(0.1, 10),
    alpha=st.none() | st.floats(0, 1),
    threshold=st.none() | st.floats(0, 1),
)
def test_every_style_draws_every_picture(
    style: str,
    heat: np.ndarray,
    level: int,
    gamma: float,
    alpha: float | None,
    threshold: float | None,
) -> None:
    picture = np.full((*heat.shape, 3), level, np.uint8)
    before = heat.copy()
    drawn = draw(picture, heat, Look(style, alpha=alpha, gamma=gamma, threshold=threshold))
    assert drawn.shape == picture.shape
    assert drawn.dtype == np.uint8
    assert (picture == level).all()
    np.testing.assert_array_equal(heat, before)
