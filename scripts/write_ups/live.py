"""Hold a recipe of onnxcam against what its write-up says on the spot."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import onnxcam
from onnxcam.explanation import Explanation
from onnxcam.preprocess import PRESETS
from write_ups.keep import Found

TOLERANCE = 1e-4
"""Largest difference of maps that lie in [0, 1]."""

LOADED: Mapping[str, Any] = {**vars(PRESETS["imagenet"]), "interpolation": "pil-linear"}
"""How `ImageNetPhotographs` are prepared."""


def explained(found: Found, recipe: str, target: Any, **options: Any) -> list[Explanation]:
    """By the recipe, the pictures that the network was shown, as they lie on its input."""
    explainer = onnxcam.Explainer.from_recipe(found.model, recipe, preprocess=LOADED, **options)
    made = explainer.explain(list(found.source.pictures()), target)
    return list(made)


def require_same(made: list[np.ndarray], found: Found, key: str) -> None:
    """Assert that maps are those that the write-up has under `key`."""
    wanted = found.arrays[key].reshape(np.shape(made))
    away = float(np.abs(np.stack(made) - wanted).max())
    assert away < TOLERANCE, f"{found.name}, {key}: {away:.1e}"
