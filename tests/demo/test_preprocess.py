"""The page feeds a model what Python feeds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import pytest

from onnxcam.graph.picture import ImageInput
from onnxcam.preprocess import PRESETS, Preprocess
from onnxcam.preprocess.scaling import INTERPOLATIONS

pytestmark = pytest.mark.browser

Run = Callable[..., Any]

SETTINGS: list[dict[str, Any]] = [
    {},
    *({"interpolation": how, "scale": 1.0} for how in INTERPOLATIONS),
    *({"interpolation": how, "resize": "crop", "crop_ratio": 0.875} for how in ("linear", "area")),
    {"resize": "crop", "interpolation": "pil-cubic", "crop_ratio": 0.9},
    {"resize": "stretch", "crop_ratio": 0.8},
    {"resize": "pad"},
    {"resize": "pad", "pad_at": "center", "pad_value": 114.0},
    {"resize": "pad", "pad_value": 0.0, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)},
    {"color": "bgr", "mean": (0.1, 0.2, 0.3)},
    {"window": "min-max", "scale": 1.0},
    {"window": "z-score", "scale": 1.0},
    {"window": (10.0, 200.0), "scale": 1.0},
]
INPUTS = {
    "NCHW": (False, 3, (32, 24)),
    "NHWC": (True, 3, (32, 24)),
    "grey": (False, 1, (20, 20)),
    "alpha": (True, 4, (24, 40)),
    "larger": (False, 3, (96, 120)),
}
TENSOR = """(m, settings, picture, input) => Array.from(
    new m.Preprocess(settings).tensor({...picture, rgb: Uint8Array.from(picture.rgb)}, input))"""


@pytest.mark.parametrize("where", INPUTS)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_equals_python(run: Run, settings: dict[str, Any], where: str) -> None:
    preprocess = Preprocess(**settings)
    channels_last, channels, size = INPUTS[where]
    if np.size(preprocess.mean) > channels:
        preprocess = Preprocess(**(settings | {"mean": 0.5, "std": 0.2}))
    elif np.size(preprocess.mean) == 3 and channels == 4:
        preprocess = Preprocess(**(settings | {"mean": 0.1, "std": 0.3}))
    picture = _picture(61, 83)
    to = ImageInput("image", channels_last, channels, None, size, np.dtype(np.float32))
    expected = preprocess.tensor(picture, to)
    found = np.array(run("preprocess", TENSOR, asdict(preprocess), _sent(picture), _told(to)))
    assert found.size == expected.size
    # One level of 255 is what rounding may differ by.
    level = _one_level(preprocess, picture)
    assert np.abs(found.reshape(expected.shape) - expected).max() <= 1.01 * level


@pytest.mark.parametrize("shape", [(48, 192), (400, 30), (7, 300), (224, 224), (1, 1)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_any_shape_of_picture(run: Run, resize: str, shape: tuple[int, int]) -> None:
    preprocess = Preprocess(resize=resize, pad_at="center")
    to = ImageInput("image", False, 3, None, (33, 46), np.dtype(np.float32))
    picture = _picture(*shape)
    found = np.array(run("preprocess", TENSOR, asdict(preprocess), _sent(picture), _told(to)))
    expected = preprocess.tensor(picture, to)
    assert np.abs(found.reshape(expected.shape) - expected).max() <= 1.01 / 255


def test_presets_are_those_of_python(run: Run) -> None:
    presets = run("preprocess", "m => m.PRESETS")
    for name, settings in presets.items():
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        assert Preprocess(**lists) == PRESETS[name]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": "rgb"}, "no setting 'colour'"),
        ({"resize": "squash"}, "'squash' is none of stretch, crop, pad"),
        ({"axes": [1, 0]}, "axes"),
        ({"mean": [1, 2]}, "mean has 2 values, the model 3 channels"),
    ],
)
def test_what_cannot_be_is_said(run: Run, settings: dict[str, Any], words: str) -> None:
    to = ImageInput("image", False, 3, None, (4, 4), np.dtype(np.float32))
    attempt = f"""(m, ...given) => {{
        try {{ ({TENSOR})(m, ...given) }} catch (e) {{ return e.message }} }}"""
    assert words in run("preprocess", attempt, settings, _sent(_picture(5, 5)), _told(to))


def _picture(height: int, width: int) -> np.ndarray:
    """Coarse and fine structure, every channel its own."""
    rng = np.random.default_rng(height * 1000 + width)
    coarse = cv2.resize(rng.random((4, 5, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = coarse + 0.2 * rng.standard_normal((height, width, 3))
    return np.clip(255 * fine, 0, 255).reshape(height, width, 3).astype(np.uint8)


def _one_level(preprocess: Preprocess, picture: np.ndarray) -> float:
    widths = {"min-max": np.ptp(picture), "z-score": picture.std(), None: 1.0}
    window = preprocess.window
    width = widths[window] if window is None or isinstance(window, str) else np.ptp(window)
    return float(preprocess.scale / width / np.min(preprocess.std))


def _sent(picture: np.ndarray) -> dict[str, Any]:
    height, width, _ = picture.shape
    return {"height": height, "width": width, "rgb": picture.ravel().tolist()}


def _told(to: ImageInput) -> dict[str, Any]:
    return {
        "channels": to.channels,
        "channelsLast": to.channels_last,
        "size": list(to.size),
        "type": to.dtype.name,
    }
