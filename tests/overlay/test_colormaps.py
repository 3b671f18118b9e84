"""Colours against OpenCV's and against matplotlib's, as recorded."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from onnxcam.errors import OnnxCamError
from onnxcam.overlay.colormaps import COLORMAPS, colorize

MATPLOTLIB = {
    "rainbow": [[127, 0, 255], [24, 205, 227], [128, 254, 179], [255, 167, 89], [255, 0, 0]],
    "bone": [[0, 0, 0], [66, 66, 92], [112, 123, 143], [175, 204, 204], [255, 255, 255]],
    "viridis": [[68, 1, 84], [52, 94, 141], [32, 144, 140], [105, 204, 91], [253, 231, 36]],
    "cividis": [[0, 34, 77], [78, 86, 108], [124, 123, 120], [193, 177, 105], [253, 231, 55]],
    "gray": [[0, 0, 0], [76, 76, 76], [128, 128, 128], [197, 197, 197], [255, 255, 255]],
}
"""`matplotlib.colormaps[name]([0, 0.3, 0.5, 0.77, 1], bytes=True)` of matplotlib 3.11."""


@pytest.mark.parametrize("name", MATPLOTLIB)
def test_colours_are_matplotlibs(name: str) -> None:
    painted = colorize(np.array([[0, 0.3, 0.5, 0.77, 1]]), name)[0].astype(int)
    np.testing.assert_allclose(painted, MATPLOTLIB[name], atol=2)


def test_rainbow_is_matplotlibs_to_the_level() -> None:
    painted = colorize(np.array([[0, 0.3, 0.5, 0.77, 1]], np.float32), "rainbow")
    np.testing.assert_array_equal(painted[0], MATPLOTLIB["rainbow"])


@pytest.mark.parametrize("name", ["jet", "turbo", "hot", "bone", "cv-rainbow"])
def test_colours_are_opencvs(name: str) -> None:
    heat = np.random.default_rng(0).random((24, 32))
    kind = getattr(cv2, f"COLORMAP_{name.removeprefix('cv-').upper()}")
    expected = cv2.applyColorMap(np.uint8(255 * heat), kind)[..., ::-1]
    np.testing.assert_array_equal(colorize(heat.astype(np.float32), name), expected)


@pytest.mark.parametrize("name", COLORMAPS)
def test_every_colormap_has_256_colours_from_cold_to_hot(name: str) -> None:
    ramp = (np.arange(256, dtype=np.float32) + 0.5)[None] / COLORMAPS[name].steps
    painted = colorize(ramp, name)
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted[0], COLORMAPS[name].table)
    assert len(np.unique(painted[0], axis=0)) > 60


def test_heat_outside_the_unit_range_is_cut_off() -> None:
    np.testing.assert_array_equal(
        colorize(np.array([[-1.0, 2.0]])), colorize(np.array([[0.0, 1.0]]))
    )


def test_an_unknown_colormap_is_refused() -> None:
    with pytest.raises(OnnxCamError, match="'jet'"):
        colorize(np.zeros((2, 2)), "jett")
