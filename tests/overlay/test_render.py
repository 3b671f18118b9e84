"""One function for all that can be explained."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import photo

from onnxcam.errors import OnnxCamError
from onnxcam.overlay import STYLES, Look, View, draw, render
from onnxcam.volumes import Volume


def test_a_picture_is_drawn_on() -> None:
    heat = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
    np.testing.assert_array_equal(
        render(photo(), heat, Look("sum"), View()), draw(photo(), heat, Look("sum"))
    )


@pytest.mark.parametrize("layout", ["slice", "montage", "planes"])
@pytest.mark.parametrize("style", STYLES)
def test_every_style_draws_every_layout(layout: str, style: str) -> None:
    volume = Volume(np.random.default_rng(0).random((5, 6, 7, 1)).astype(np.float32))
    drawn = render(volume, volume.values[..., 0], Look(style), View(layout))
    assert drawn.dtype == np.uint8
    assert drawn.ndim == 3
    assert len(np.unique(drawn)) > 10


def test_what_is_none_of_them_is_refused() -> None:
    with pytest.raises(OnnxCamError, match="str: not a picture"):
        render("cat.jpg", np.zeros((2, 2)), Look(), View())
