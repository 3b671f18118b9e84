"""Smooth Grad-CAM++ from gradients at noisy pictures, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from builders import classifier, vit_like
from graphs import pictures
from methods.gradient.layouts import LAYOUTS, watched

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.methods import find_method


def formula(a: np.ndarray, g: np.ndarray, eps: float) -> np.ndarray:
    """The map of activations (C, positions) and gradients (samples, C, positions)."""
    first, second, third = g.mean(0), (g**2).mean(0), (g**3).mean(0)
    share = second / (2 * second + third * a.sum(-1, keepdims=True) + eps)
    w = (share * np.maximum(first, 0)).sum(-1)
    return np.asarray(np.maximum(w @ a, 0))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(name: str) -> None:
    layout, target = LAYOUTS[name], 1
    x = layout.x(1)
    noise = np.random.default_rng(3).standard_normal((2, *x.shape[1:]), dtype=np.float32)
    noisy = x + 0.1 * (x.max() - x.min()) * noise
    a, _ = watched(layout, x, target)
    g = np.concatenate([watched(layout, one[None], target)[1] for one in noisy])
    expected = formula(a[0], g, 1e-8).reshape(layout.size)
    options = {"samples": 2, "noise": 0.1, "seed": 3, "layer": layout.layer}
    explainer = onnxcam.Explainer(layout.make(), "smoothgradcam++", **options)
    found = explainer.run(x, target=target)["raw"][0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max() + 1e-9)


def test_without_noise_it_is_gradcam_plus_plus() -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(2)
    smooth = onnxcam.Explainer(model, "smoothgradcam++", noise=0.0, eps=0.0)
    expected = onnxcam.Explainer(model, "gradcam++", eps=0.0).run(x, top=2)["raw"]
    np.testing.assert_allclose(smooth.run(x, top=2)["raw"], expected, rtol=1e-4, atol=1e-7)


def test_the_seed_decides() -> None:
    model, x = vit_like(), pictures()
    first, again, other = (
        onnxcam.Explainer(model, "smoothgradcam++", seed=seed).run(x)["raw"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_several_targets_are_the_single_ones() -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(1)
    explainer = onnxcam.Explainer(model, "smoothgradcam++")
    answer = explainer.run(x, top=3)
    for k, one in enumerate(answer["target"][0]):
        alone = explainer.run(x, target=int(one))["raw"][:, 0]
        np.testing.assert_allclose(answer["raw"][:, k], alone, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"samples": 0}, "at least one"), ({"noise": -0.1}, "-0.1"), ({"eps": -1.0}, "eps is -1")],
)
def test_parameters_that_make_no_sense(parameters: dict[str, float], words: str) -> None:
    with pytest.raises(MethodError, match=words):
        find_method("smoothgradcam++", **parameters)


def test_it_does_not_bake() -> None:
    with pytest.raises(MethodError, match="runs the model many times"):
        onnxcam.rewrite(classifier(), "smoothgradcam++")
