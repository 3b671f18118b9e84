"""The Keras recipe for VGG16: the maps and overlays of the three best classes.

Recorded by scripts/write_ups/keras_vgg16.py; the model is built again from the recording.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from references.derivation import distance
from write_ups.kept import kept, levels_away, picture

import onnxcam
from onnxcam.explanation import Explanations
from onnxcam.preprocess import PRESETS

pytestmark = pytest.mark.slow
"""Drawing 138 million weights takes half a minute."""

NAME, RECIPE, LAYER = "keras_vgg16", "keras-vgg16", "block5_conv3"
LOADED = {**vars(PRESETS["caffe"]), "interpolation": "pil-nearest"}
"""`load_img` with a target size, and `preprocess_input`."""

RANKS = (0, 1, 2)
TOLERANCE = 1e-4
"""Largest difference of maps that lie in [0, 1]."""

LEVELS = 2
"""Largest difference of pictures, in grey levels."""


@cache
def explained(**options: str) -> Explanations:
    """The recipe's classes, best first."""
    reference, model = kept(NAME)
    options = {"recipe": RECIPE, "layer": LAYER, "preprocess": LOADED, **options}
    found = onnxcam.explain(model, reference.input.path, **options)
    assert isinstance(found, Explanations)
    return found


def test_the_three_best_classes_are_explained() -> None:
    reference, _ = kept(NAME)
    assert [one.target.index for one in explained()] == reference.classes
    wanted = reference.output[0, reference.classes]
    np.testing.assert_allclose([one.target.probability for one in explained()], wanted, rtol=1e-4)


@pytest.mark.parametrize("rank", RANKS)
def test_the_heat_is_the_recipes(rank: int) -> None:
    one, recorded = explained()[rank], kept(NAME)[0].arrays["heat"][rank]
    assert distance(one.finish.unit(one.raw), recorded) < TOLERANCE


@pytest.mark.parametrize("rank", RANKS)
def test_the_picture_is_the_recipes(rank: int) -> None:
    drawn = explained()[rank].overlay()
    assert levels_away(drawn, picture(NAME, f"overlay_{rank + 1}")) <= LEVELS


def test_the_comparison_would_notice_another_score() -> None:
    """Classes share a softmax: the probability's gradient is not a multiple of the logit's."""
    others = explained(score="logit")
    away = [
        distance(one.finish.unit(one.raw), recorded)
        for one, recorded in zip(others, kept(NAME)[0].arrays["heat"], strict=True)
    ]
    assert max(away) > 100 * TOLERANCE
