"""The page shows the heat that Python shows, in its colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from onnxcam.finish import Finish
from onnxcam.overlay import DEFAULT_COLORMAP, colorize
from onnxcam.preprocess import Preprocess

pytestmark = pytest.mark.browser

Run = Callable[..., Any]

INPUT = (64, 96)
FITTED = "(await import('/demo/js/fitting.js')).fitted"


@pytest.mark.parametrize("source", [(50, 75), (120, 40), (40, 300)])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"resize": "crop", "crop_ratio": 0.875},
        {"resize": "pad"},
        {"resize": "pad", "pad_at": "center"},
    ],
    ids=str,
)
def test_heat_equals_python(run: Run, settings: dict[str, Any], source: tuple[int, int]) -> None:
    preprocess = Preprocess(**settings)
    raw = _raw((7, 9))
    frame = preprocess.frame(source, INPUT)
    expected = Finish().on_source(raw, frame)
    code = f"""async (m, values, fit, source) => Array.from(
        m.heatOnPicture({{values, size: [7, 9]}}, {FITTED}(...fit), source))"""
    known = asdict(preprocess)
    fit = [source, INPUT, *(known[name] for name in ("resize", "crop_ratio", "pad_at"))]
    found = np.array(run("heat", code, raw.ravel().tolist(), fit, source))
    assert expected.max() > 0.5
    np.testing.assert_allclose(found.reshape(source), expected, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0, 2.0])
def test_a_map_that_says_nothing_is_cold(run: Run, value: float) -> None:
    found = run("heat", "(m, values) => Array.from(m.unit(values))", [value] * 6)
    assert found == Finish().unit(np.full(6, value, np.float32)).tolist() == [0] * 6


def test_the_hottest_place(run: Run) -> None:
    heat = [0.0] * 12
    heat[7] = 1.0
    assert run("heat", "(m, heat) => m.hottest(heat, [3, 4])", heat) == [0.5, 0.875]
    assert run("heat", "(m, heat) => m.hottest(heat, [3, 4])", [0.0] * 12) is None


def test_a_box_of_the_input_on_the_picture(run: Run) -> None:
    preprocess = Preprocess(resize="pad", pad_at="center")
    frame = preprocess.frame((50, 200), INPUT)
    box = [10.0, 20.0, 60.5, 44.0]
    code = "(m, box, fit) => m.onPicture(box, m.fitted(...fit))"
    found = run("fitting", code, box, [(50, 200), INPUT, "pad", 1.0, "center"])
    np.testing.assert_allclose(found, frame.to_source(np.array(box)), atol=1e-9)


def test_colours_are_those_of_overlays(run: Run) -> None:
    heat = np.linspace(0, 1, 512, dtype=np.float32)
    found = np.array(run("colors", "(m, heat) => Array.from(m.painted(heat))", heat.tolist()))
    expected = colorize(heat[None], DEFAULT_COLORMAP)[0].astype(int)
    pixels = found.reshape(-1, 4)
    assert (pixels[:, 3] == 255).all()
    # OpenCV's table is rounded from another one of fewer entries.
    assert np.abs(pixels[:, :3] - expected).max() <= 2


def _raw(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(size).astype(np.float32)
