"""Recipes are options of the library; `tests/write_ups` holds them against the write-ups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import classifier
from graphs import CLASSES, photo

import onnxcam
from onnxcam import Explainer, Explanation
from onnxcam.errors import OnnxCamError
from onnxcam.recipes import RECIPES, Recipe, find_recipe

ALL = list(RECIPES.values())


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_every_recipe_explains(recipe: Recipe) -> None:
    model = classifier()
    found = onnxcam.explain(model, photo(), recipe=recipe.name)
    several = found if isinstance(found, list) else [found]
    assert len(several) == (CLASSES if recipe.target == "all" else recipe.top)
    for one in several:
        assert one.method == recipe.options.get("method", "gradcam")
        assert one.overlay().dtype == np.uint8


def test_options_go_before_the_recipes() -> None:
    found = onnxcam.explain(classifier(), photo(), recipe="keras-vgg16", top=1, method="layercam")
    assert isinstance(found, Explanation)
    assert (found.method, found.finish.normalization) == ("layercam", "max")
    one = onnxcam.explain(classifier(), photo(), target=2, recipe="densenet-cam")
    assert isinstance(one, Explanation)
    assert one.target.index == 2


def test_an_explainer_from_a_recipe() -> None:
    explainer = Explainer.from_recipe(classifier(), "paddle-res2net", score="probability")
    found = explainer.explain(photo())
    assert isinstance(found, Explanation)
    assert (found.method, explainer.score) == ("hirescam", "probability")
    assert found.look.style == "sum"


def test_the_default_recipe_is_the_default() -> None:
    plain = Explainer(classifier()).explain(photo())
    named = onnxcam.explain(classifier(), photo(), recipe="default")
    assert isinstance(plain, Explanation)
    assert isinstance(named, Explanation)
    np.testing.assert_array_equal(plain.overlay(), named.overlay())


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(OnnxCamError, match="'keras-vgg16'"):
        find_recipe("keras-vgg")


def test_recipes_are_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text()
    for recipe in ALL:
        assert f"`{recipe.name}`" in text


def test_a_recipe_says_what_it_sets() -> None:
    for recipe in ALL:
        shown = recipe.as_dict()
        assert shown["name"] == recipe.name
        assert set(shown["options"]) == set(recipe.options)
