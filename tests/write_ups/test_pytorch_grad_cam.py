"""The recipe of pytorch-grad-cam's class for MobileNetV3-Large: batches, targets, several layers.

Recorded by scripts/write_ups/torch_mobilenet_v3.py; the models are built again from the recordings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from write_ups.kept import kept, levels_away, picture

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.explanation import Explanations

NAME, LINEAR, RECIPE = "torch_mobilenet_v3", "torch_mobilenet_v3_linear", "pytorch-grad-cam"
"""The network as published, and with a classifier of one linear layer, where CAM is defined."""

EVERY = 8
"""Of the heatmaps each so-manieth row and column is recorded."""

TOLERANCE = 1e-4
"""Largest difference of heatmaps in [0, 1]."""

LEVELS = 1
"""Largest difference of pictures, in grey levels."""

BOUNDARY = 255 * 1e-5
"""Heat so near to the boundary of two of the 256 colours may get either of them."""

NEXT_COLOUR = 4
"""Grey levels from a colour of JET to the next, half of which is drawn, of a sum divided by a
maximum that may be as little as half."""


def explained(name: str, target: Any = None, **options: Any) -> Explanations:
    """All pictures, at the layer that is chosen unasked unless one is given."""
    reference, model = kept(name)
    explainer = onnxcam.Explainer.from_recipe(model, RECIPE, preprocess="imagenet", **options)
    found = explainer.explain(list(reference.input.pictures()), target)
    assert isinstance(found, Explanations)
    return found


def away(found: Explanations, name: str, key: str) -> float:
    """How far heatmaps are from the library's."""
    places = slice(EVERY // 2, None, EVERY)
    heat = np.stack([one.heat[places, places] for one in found])
    recorded = kept(name)[0].arrays[key]
    assert heat.shape == recorded.shape
    return float(np.abs(heat - recorded).max())


METHODS = [(NAME, "gradcam"), (NAME, "gradcam++"), (LINEAR, "cam")]


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_the_heat_of_each_pictures_best_class(name: str, method: str) -> None:
    found = explained(name, method=method)
    output = kept(name)[0].output
    assert [one.target.index for one in found] == output.argmax(axis=1).tolist()
    assert away(found, name, f"{method}, best") < TOLERANCE


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_the_heat_of_a_class_a_picture(name: str, method: str) -> None:
    classes = kept(name)[0].classes
    assert away(explained(name, classes, method=method), name, method) < TOLERANCE


def test_the_mean_of_several_layers() -> None:
    reference, _ = kept(NAME)
    found = explained(NAME, reference.classes, layer=list(reference.layers.values()))
    assert away(found, NAME, "gradcam, several layers") < TOLERANCE


@pytest.mark.parametrize(("name", "method"), [(NAME, "gradcam"), (LINEAR, "cam")])
def test_the_picture_is_show_cam_on_image(name: str, method: str) -> None:
    one, recorded = explained(name, method=method)[0], picture(name, "overlay")
    drawn, level = one.overlay(), 255 * one.heat.astype(np.float64)
    undecided = np.abs(level - np.rint(level)) < BOUNDARY
    drawn[undecided] = recorded[undecided]
    assert undecided.mean() < 0.01
    assert levels_away(drawn, recorded) <= LEVELS


def test_the_picture_is_nowhere_more_than_a_colour_away() -> None:
    assert levels_away(explained(NAME)[0].overlay(), picture(NAME, "overlay")) <= NEXT_COLOUR


def test_cam_says_why_it_does_not_fit_the_published_head() -> None:
    with pytest.raises(MethodError, match="gradcam"):
        explained(NAME, method="cam")


def test_the_comparison_would_notice_another_class() -> None:
    assert away(explained(NAME), NAME, "gradcam") > 100 * TOLERANCE
