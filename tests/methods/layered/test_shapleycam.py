"""Shapley-CAM: Hessian times activations against differences of gradients, and identities."""

from __future__ import annotations

import numpy as np
import pytest
from builders import classifier, gap_linear, se_like, vit_like
from graphs import CLASSES, pictures, weights
from methods.gradient.layouts import LAYOUTS, VARYING
from methods.layered.tails import at_layer, logit, probability, softmax

import onnxcam
from onnxcam.runtime import Runner
from onnxcam.targets import Classes

SCORES = {"logit": logit, "probability": probability}


def raw_of(model: object, x: np.ndarray, wanted: tuple[int, ...], **options: object) -> np.ndarray:
    """The maps (N, K, *size) of the same classes for every picture."""
    explainer = onnxcam.Explainer(model, "shapleycam", **options)
    target = Classes(wanted, str(options.get("score", "logit")))
    return np.asarray(explainer.run(x, target=[target] * len(x))["raw"])


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_weights_are_corrected_to_second_order(name: str, score: str) -> None:
    layout, target, step = LAYOUTS[name], 2, 2.0**-6
    x = layout.x(2) / 8  # far from where a Softmax is sure
    a, gradient = at_layer(layout.make(), layout.layer, x, SCORES[score](target))
    up, down = gradient(a * (1 + step)), gradient(a * (1 - step))
    curved = (up.astype(np.float64) - down) / (2 * step)
    flat = layout.flat(a)
    w = layout.flat(gradient(a) - curved / 2).mean(-1, keepdims=True)
    expected = np.maximum((w * flat).sum(1), 0).reshape(-1, *layout.size)
    found = raw_of(layout.make(), x, (target,), layer=layout.layer, score=score)[:, 0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(w * flat).max())


@pytest.mark.parametrize("name", VARYING)
def test_several_targets_are_the_single_ones(name: str) -> None:
    layout = VARYING[name]
    x, options = layout.x(2), {"layer": layout.layer, "score": "probability"}
    together = raw_of(layout.make(), x, (3, 0, 1), **options)
    for k, one in enumerate((3, 0, 1)):
        alone = raw_of(layout.make(), x, (one,), **options)
        np.testing.assert_allclose(together[:, [k]], alone, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("layer", ["conv1", "features"])
def test_without_curvature_it_is_gradcam(layer: str) -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(3)
    found = onnxcam.Explainer(model, "shapleycam", layer=layer).run(x, top=2)["raw"]
    expected = onnxcam.Explainer(model, "gradcam", layer=layer).run(x, top=2)["raw"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["tokens", "NCDHW"])
def test_a_sum_of_squares_halves_the_weights(name: str) -> None:
    """Behind the layer the score has degree two, so H A = g."""
    layout = VARYING[name]
    x = layout.x(1)
    half = onnxcam.Explainer(layout.make(), "gradcam", layer=layout.layer).run(x)["raw"] / 2
    found = onnxcam.Explainer(layout.make(), "shapleycam", layer=layout.layer).run(x)["raw"]
    np.testing.assert_allclose(found, half, rtol=1e-4, atol=1e-7)


def test_a_softmax_behind_pooling_in_closed_form() -> None:
    w = weights(CLASSES, 3, seed=7, scale=2)
    x = np.maximum(pictures(2, side=4), 0)
    found = raw_of(gap_linear(w, batch="n"), x, (1,), score="probability")[:, 0]
    m = x.mean(axis=(2, 3)).astype(np.float64)
    p = softmax(m @ w.T)
    expected = []
    for a, pooled, q in zip(x, m, p, strict=True):
        mean = q @ w
        g = q[1] * (w[1] - mean)
        covariance = (w - mean).T @ np.diag(q) @ (w - mean)
        h = q[1] * (np.outer(w[1] - mean, w[1] - mean) - covariance)
        expected.append(np.maximum(np.tensordot((g - h @ pooled / 2) / 16, a, 1), 0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_it_bakes_for_every_opset(opset: int) -> None:
    model, x = classifier(("n", 3, 16, 16), opset), pictures(2)
    made = onnxcam.rewrite(model, "shapleycam", score="probability")
    baked = Runner(made).run({"image": x})["cam"]
    expected = onnxcam.Explainer(model, "shapleycam", score="probability").run(x)["raw"]
    np.testing.assert_array_equal(baked, expected)


@pytest.mark.parametrize(("model", "layer"), [(se_like(), "features"), (vit_like(), "embedded")])
def test_gates_and_attention_have_curvature(model: object, layer: str) -> None:
    x, target, step = pictures(), 1, 2.0**-6
    a, gradient = at_layer(model, layer, x, logit(target))
    curved = (gradient(a * (1 + step)).astype(np.float64) - gradient(a * (1 - step))) / (2 * step)
    assert np.abs(curved).max() > 0.01 * np.abs(gradient(a)).max()
    w = gradient(a) - curved / 2
    if layer == "features":
        maps = (w.mean(axis=(2, 3), keepdims=True) * a).sum(axis=1)
    else:
        maps = (w[:, 1:].mean(axis=1, keepdims=True) * a[:, 1:]).sum(axis=2).reshape(1, 4, 4)
    found = raw_of(model, x, (target,), layer=layer)[:, 0]
    expected = np.maximum(maps, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(maps).max())
