"""Recipro-CAM and ViT-ReciproCAM, recomputed from heads run one by one."""

from __future__ import annotations

import numpy as np
import pytest
from builders import classifier, ended_with, gap_linear, se_like, vit_like
from graphs import CLASSES, SIDE, pictures
from methods.search.rerunning import logits_behind, values_of

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.methods.search.reciprocam import neighbourhoods, single_places

GAUSSIAN = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def around(i: int, j: int, side: int) -> np.ndarray:
    """The 3x3 Gaussian around a place, cut off at the border, (side, side)."""
    padded = np.zeros((side + 2, side + 2), np.float32)
    padded[i : i + 3, j : j + 3] = GAUSSIAN
    return padded[1:-1, 1:-1]


def test_masks() -> None:
    for k, (found, alone) in enumerate(
        zip(neighbourhoods((4, 4)), single_places((4, 4)), strict=True)
    ):
        i, j = divmod(k, 4)
        np.testing.assert_array_equal(found, around(i, j, 4))
        assert alone[i, j] == 1
        assert alone.sum() == 1


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("make", [classifier, se_like])
def test_reciprocam(make: object, gaussian: bool) -> None:
    model, x = make(), pictures(1, seed=2)  # type: ignore[operator]
    features = values_of(model, ["features"], x)["features"]
    side = features.shape[-1]
    inside = []
    for i in range(side):
        for j in range(side):
            mask = np.zeros((side, side), np.float32)
            mask[i, j] = 1
            inside.append({"features": features * (around(i, j, side) if gaussian else mask)})
    scores = logits_behind(model, inside)
    explainer = onnxcam.Explainer(model, "reciprocam", layer="features", use_gaussian=gaussian)
    answer = explainer.run(x, top=CLASSES)
    for k, index in enumerate(answer["target"][0]):
        expected = scores[:, index].reshape(side, side)
        np.testing.assert_allclose(answer["raw"][0, k], expected, rtol=1e-4, atol=1e-5)


def test_on_pooling_and_a_linear_layer_it_is_cam_over_the_number_of_places() -> None:
    w, bias = np.array([[1.0, -2.0, 0.5], [-1.0, 1.0, 3.0]]), np.array([0.25, -1.0])
    model, x = gap_linear(w, bias=bias), np.abs(pictures(1, side=4))
    raw = onnxcam.Explainer(model, "reciprocam", layer="features").run(x, target=1)["raw"][0, 0]
    np.testing.assert_allclose(raw, np.tensordot(w[1], x[0], 1) / 16 + bias[1], rtol=1e-4)


@pytest.mark.parametrize("cls_token", [True, False])
@pytest.mark.parametrize("gaussian", [True, False])
def test_vitreciprocam_masks_the_layer_and_what_skips_it(gaussian: bool, cls_token: bool) -> None:
    model, x = vit_like(), pictures(1, seed=2)
    seen = values_of(model, ["normed", "embedded"], x)
    inside = []
    for i in range(4):
        for j in range(4):
            mask = np.zeros((4, 4), np.float32)
            mask[i, j] = 1
            mask = around(i, j, 4) if gaussian else mask
            tokens = np.concatenate([[1.0 if cls_token else 0.0], mask.ravel()])
            factors = tokens.astype(np.float32)[None, :, None]
            inside.append({name: value * factors for name, value in seen.items()})
    scores = logits_behind(model, inside)
    options = {"use_gaussian": gaussian, "cls_token": cls_token}
    explainer = onnxcam.Explainer(model, "vitreciprocam", **options)
    assert explainer.layer.name == "normed"
    answer = explainer.run(x, top=CLASSES)
    for k, index in enumerate(answer["target"][0]):
        expected = scores[:, index].reshape(4, 4)
        np.testing.assert_allclose(answer["raw"][0, k], expected, rtol=1e-4, atol=1e-5)


def test_reciprocam_of_tokens_keeps_the_class_token_and_what_skips_the_layer() -> None:
    model, x = vit_like(), pictures(1, seed=2)
    seen = values_of(model, ["normed", "embedded"], x)
    inside = []
    for k in range(16):
        variant = np.zeros_like(seen["normed"])
        variant[:, [0, 1 + k]] = seen["normed"][:, [0, 1 + k]]
        inside.append({"normed": variant, "embedded": seen["embedded"]})
    expected = logits_behind(model, inside)[:, 1].reshape(4, 4)
    raw = onnxcam.Explainer(model, "reciprocam", layer="normed").run(x, target=1)["raw"][0, 0]
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-5)


def test_vitreciprocam_needs_tokens() -> None:
    with pytest.raises(MethodError, match="use reciprocam"):
        onnxcam.Explainer(classifier(), "vitreciprocam").run(pictures(1))


def test_pictures_of_a_batch_are_searched_each_for_itself() -> None:
    model, x = classifier(("n", 3, SIDE, SIDE)), pictures(2)
    explainer = onnxcam.Explainer(model, "reciprocam")
    together = explainer.run(x, target=[0, 2])["raw"]
    for n, k in enumerate((0, 2)):
        alone = explainer.run(x[n : n + 1], target=k)["raw"]
        np.testing.assert_allclose(together[n], alone[0], rtol=1e-4, atol=1e-6)


def test_probabilities_are_searched_for_where_they_are_asked_for() -> None:
    model, x = ended_with("Softmax"), pictures(1, seed=2)
    answer = onnxcam.Explainer(model, "reciprocam").run(x, top=CLASSES)
    raised = np.exp(answer["raw"][0])
    found = onnxcam.Explainer(model, "reciprocam", score="probability").run(x, top=CLASSES)
    np.testing.assert_array_equal(found["target"], answer["target"])
    np.testing.assert_allclose(found["raw"][0], raised / raised.sum(0), rtol=1e-4)
