"""The recipe of class activation maps for DenseNet-121: every class, no gradient.

Recorded by scripts/write_ups/torch_densenet121.py; the model is built again from the recording.
"""

from __future__ import annotations

from functools import cache

import pytest
from references.derivation import distance
from write_ups.kept import kept, levels_away, picture

import onnxcam
from onnxcam.explanation import Explanations
from onnxcam.finish import Finish
from onnxcam.preprocess import PRESETS

NAME, RECIPE = "torch_densenet121", "densenet-cam"
LOADED = {**vars(PRESETS["imagenet"]), "interpolation": "pil-linear"}
"""torchvision's `Resize`, `ToTensor` and `Normalize`."""

CLASSES = (0, 1)
TOLERANCE = 1e-4
"""Largest difference of maps that lie in [0, 1]."""

LEVELS = 2
"""Largest difference of pictures, in grey levels."""


@cache
def explained(**options: Finish) -> Explanations:
    """Both classes, at the layer that is chosen unasked."""
    reference, model = kept(NAME)
    path = reference.input.paths[0]
    found = onnxcam.explain(model, path, recipe=RECIPE, preprocess=LOADED, **options)
    assert isinstance(found, Explanations)
    return found


def test_every_class_is_explained() -> None:
    reference, _ = kept(NAME)
    assert [one.target.index for one in explained()] == list(CLASSES)
    scores = [one.target.score for one in explained()]
    assert scores == pytest.approx(reference.output[0].tolist(), rel=1e-4)


@pytest.mark.parametrize("index", CLASSES)
def test_the_heat_is_the_recipes(index: int) -> None:
    one, recorded = explained()[index], kept(NAME)[0].arrays["heat"][index]
    assert distance(one.finish.unit(one.raw), recorded) < TOLERANCE


@pytest.mark.parametrize("index", CLASSES)
def test_the_picture_is_the_recipes(index: int) -> None:
    drawn = explained()[index].overlay()
    assert levels_away(drawn, picture(NAME, f"overlay_{index}")) <= LEVELS


def test_a_class_that_nothing_speaks_for_is_not_called_empty() -> None:
    """Its map is negative everywhere, which min-max of the signed map shows all the same."""
    assert max(one.raw.max() for one in explained()) > 0 > min(one.raw.max() for one in explained())
    assert all(one.warnings == [] for one in explained())


def test_the_comparison_would_notice_a_relu() -> None:
    """The map of the class that loses is negative in places, and is shown all the same."""
    others = explained(finish=Finish("max", again=False))
    recorded = kept(NAME)[0].arrays["heat"]
    away = [distance(one.finish.unit(one.raw), recorded[one.target.index]) for one in others]
    assert max(away) > 100 * TOLERANCE
