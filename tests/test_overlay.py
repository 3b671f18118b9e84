"""Colours and styles, by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from graphs import photo

from onnxcam.errors import OnnxCamError
from onnxcam.overlay import COLORMAPS, STYLES, add, blend, colorize, draw


def test_jet_runs_from_blue_to_red() -> None:
    ramp = colorize(np.array([[0.0, 0.5, 1.0]]))
    np.testing.assert_array_equal(ramp[0], [[0, 0, 128], [130, 255, 126], [128, 0, 0]])


@pytest.mark.parametrize("name", sorted(COLORMAPS))
def test_every_colormap_paints(name: str) -> None:
    painted = colorize(np.linspace(0, 1, 6).reshape(2, 3).astype(np.float32), name)
    assert painted.shape == (2, 3, 3)
    assert painted.dtype == np.uint8
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) > 2


def test_heat_outside_the_unit_range_is_cut() -> None:
    np.testing.assert_array_equal(
        colorize(np.array([[-1.0, 2.0]])), colorize(np.array([[0.0, 1.0]]))
    )


@pytest.mark.parametrize(("alpha", "value"), [(0.0, 100), (0.25, 125), (0.5, 150), (1.0, 200)])
def test_blend_is_the_weighted_mean(alpha: float, value: int) -> None:
    picture, heat = (np.full((2, 2, 3), v, np.uint8) for v in (100, 200))
    np.testing.assert_array_equal(blend(picture, heat, alpha), np.full((2, 2, 3), value))


def test_add_is_show_cam_on_image() -> None:
    heat = colorize(np.random.default_rng(0).random((24, 32)))
    total = heat / 255 + photo() / 255
    expected = 255 * total / total.max()
    np.testing.assert_allclose(add(photo(), heat, 0.5), expected, atol=0.51)


def test_add_of_black_and_black_is_black() -> None:
    black = np.zeros((2, 2, 3), np.uint8)
    np.testing.assert_array_equal(add(black, black, 0.5), black)


@pytest.mark.parametrize("style", STYLES)
def test_an_overlay_has_the_pictures_size(style: str) -> None:
    drawn = draw(photo(), np.zeros((24, 32), np.float32), style, "viridis", 0.3)
    assert drawn.shape == photo().shape
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bland", "jet", 0.5), "'blend'"),
        (("blend", "jett", 0.5), "'jet'"),
        (("blend", "jet", -0.1), "between"),
        (("blend", "jet", float("nan")), "between"),
    ],
)
def test_what_means_nothing_is_refused(arguments: tuple[str, str, float], words: str) -> None:
    with pytest.raises(OnnxCamError, match=words):
        draw(photo(), np.zeros((24, 32), np.float32), *arguments)


def test_the_names_are_opencvs() -> None:
    assert COLORMAPS["turbo"] == cv2.COLORMAP_TURBO
