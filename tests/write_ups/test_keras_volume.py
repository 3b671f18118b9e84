"""The Keras recipe for volumes: the map, the heat and the pictures that it gave in TensorFlow.

Recorded by scripts/write_ups/keras_volume.py; the model is built again from the recording.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from references.derivation import distance
from write_ups.kept import kept, levels_away, picture

import onnxcam
from onnxcam.explanation import Explanation
from onnxcam.runtime import Runner

RECIPE, LAYER = "keras-volume", "conv3d_7"
CUT = 84
"""The slice that the recipe shows: `[:, 84, :]`."""

UNIT, CLASSES = "keras_volume_sigmoid", "keras_volume_softmax"
TOLERANCE = 1e-4
"""Largest difference of maps that lie in [0, 1]."""

LEVELS = 2
"""Largest difference of pictures, in grey levels."""


@cache
def explained(name: str, **options: object) -> Explanation:
    """The recipe, but for the options; of one unit the class that it stands for."""
    reference, model = kept(name)
    explainer = onnxcam.Explainer.from_recipe(model, RECIPE, layer=LAYER, **options)
    target = reference.classes[0] if name == CLASSES else 1
    one = explainer.explain(reference.input.volume(), target)
    assert isinstance(one, Explanation)
    return one


@pytest.mark.parametrize("name", [UNIT, CLASSES])
def test_the_heat_is_the_recipes(name: str) -> None:
    reference, _ = kept(name)
    one = explained(name)
    recorded = reference.arrays["heat"]
    assert one.raw.shape == recorded.shape
    assert distance(one.finish.unit(one.raw), recorded) < TOLERANCE
    assert one.heat.shape == one.source.size == tuple(reference.input.shape)
    some = reference.arrays["heat at the volume's size"]
    step = one.heat.shape[0] // some.shape[0]
    assert distance(one.heat[::step, ::step, ::step], some) < TOLERANCE


@pytest.mark.parametrize("name", [UNIT, CLASSES])
def test_the_answer_is_the_models(name: str) -> None:
    reference, model = kept(name)
    answer = Runner(model).run({model.graph.input[0].name: reference.x})
    assert distance(answer[model.graph.output[0].name], reference.output) < TOLERANCE
    unit = reference.output[0, reference.classes[0]]
    assert explained(name).target.probability == pytest.approx(unit, abs=TOLERANCE)


def test_activations_may_be_cut_off_first() -> None:
    reference, _ = kept(CLASSES)
    one = explained(CLASSES, relu=True)
    cut_off = reference.arrays["heat, activations cut off"]
    assert distance(one.finish.unit(one.raw), cut_off) < TOLERANCE
    assert distance(cut_off, reference.arrays["heat"]) > 100 * TOLERANCE


@pytest.mark.parametrize("options", [{"score": "logit"}, {"method": "gradcam"}], ids=str)
def test_the_comparison_would_notice_another_recipe(options: dict[str, str]) -> None:
    """Classes share a softmax: the probability's gradient is not a multiple of the logit's."""
    one = explained(CLASSES, **options)
    assert distance(one.finish.unit(one.raw), kept(CLASSES)[0].arrays["heat"]) > 0.1


@pytest.mark.parametrize(
    ("what", "look"),
    [
        ("slice", {"style": "blend", "alpha": 0.0}),
        ("heatmap", {"style": "heatmap"}),
        ("overlay_0.7", {"style": "blend", "alpha": 0.7}),
        ("overlay_0.3", {"style": "blend", "alpha": 0.3}),
        ("fusion", {"style": "fusion", "base": "gray", "enlarge": 4}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_pictures_are_the_recipes(what: str, look: dict[str, object]) -> None:
    drawn = explained(UNIT).overlay(index=CUT, **look)
    assert levels_away(drawn, picture(UNIT, what)) <= LEVELS


def test_the_recipe_shows_four_panels_of_that_slice() -> None:
    one = explained(UNIT)
    look = {"style": "panel", "colormap": "rainbow", "base": "bone"}
    asked = one.overlay(layout="slice", axis=1, index=CUT, rotate=1, **look)
    assert np.array_equal(one.overlay(), asked)
    assert not np.array_equal(one.overlay(index=CUT // 2), asked)


def test_a_rewritten_model_carries_the_map() -> None:
    reference, model = kept(CLASSES)
    made = onnxcam.rewrite(model, "gradcam-minmax", layer=LAYER, score="probability")
    answer = Runner(made).run({model.graph.input[0].name: reference.x})
    assert answer["cam_target"].tolist() == [reference.classes]
    low, high = answer["cam"].min(), answer["cam"].max()
    heat = (answer["cam"][0, 0] - low) / (high - low)
    assert distance(heat, reference.arrays["heat"]) < TOLERANCE
