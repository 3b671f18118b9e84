"""The Paddle recipe for Res2Net50_vd_26w_4s: HiResCAM, as it is and laid over the picture.

Recorded by scripts/write_ups/paddle_res2net.py; the model is built again from the recording.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from references.derivation import distance
from write_ups.kept import kept, levels_away, picture

import onnxcam
from onnxcam.explanation import Explanation
from onnxcam.overlay import colorize
from onnxcam.preprocess import PRESETS

NAME, RECIPE = "paddle_res2net", "paddle-res2net"
LAST, BEFORE = "blocks", "blocks.12"
LOADED = {**vars(PRESETS["imagenet"]), "interpolation": "pil-linear"}
"""Paddle's `Resize`, `ToTensor` and `Normalize`."""

TOLERANCE = 1e-4
"""Largest difference of maps that lie in [0, 1]."""

LEVELS = 2
"""Largest difference of pictures, in grey levels."""


@cache
def explained(**options: Any) -> Explanation:
    """The recipe's best class."""
    reference, model = kept(NAME)
    path = reference.input.paths[0]
    found = onnxcam.explain(model, path, recipe=RECIPE, preprocess=LOADED, **options)
    assert isinstance(found, Explanation)
    return found


def heat(path: str) -> np.ndarray:
    """What the recipe says at a layer."""
    return kept(NAME)[0].arrays[f"heat {path}"]


def test_the_best_class_is_explained() -> None:
    reference, _ = kept(NAME)
    assert [explained().target.index] == reference.classes
    np.testing.assert_allclose(explained().target.score, reference.output.max(), rtol=1e-4)


@pytest.mark.parametrize("path", [LAST, BEFORE])
def test_the_heat_is_the_recipes(path: str) -> None:
    one = explained(layer=kept(NAME)[0].layers[path])
    assert distance(one.finish.unit(one.raw), heat(path)) < TOLERANCE


def test_the_layer_chosen_unasked_is_the_write_ups() -> None:
    assert heat(LAST).shape == (7, 7)
    assert distance(explained().finish.unit(explained().raw), heat(LAST)) < TOLERANCE


def test_the_picture_is_the_recipes() -> None:
    assert levels_away(explained().overlay(), picture(NAME, "overlay")) <= LEVELS


def test_the_raw_heatmap_can_be_shown_on_its_own() -> None:
    """Squares of one colour each, Matplotlib's `matshow`."""
    finish = onnxcam.Finish("max", "nearest", again=False)
    drawn = explained(finish=finish).overlay(style="heatmap", colormap="viridis")
    height, width = drawn.shape[:2]
    rows, columns = ((np.arange(n) + 0.5) * 7 // n for n in (height, width))
    squares = colorize(heat(LAST), "viridis")[rows.astype(int)][:, columns.astype(int)]
    assert levels_away(drawn, squares) <= LEVELS


def test_the_comparison_would_notice_a_pooled_gradient() -> None:
    """In the stage before the last: behind the last the gradient is the same at every place."""
    pooled = explained(method="gradcam", layer=kept(NAME)[0].layers[BEFORE])
    assert distance(pooled.finish.unit(pooled.raw), heat(BEFORE)) > 100 * TOLERANCE
