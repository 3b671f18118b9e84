"""Ablation-CAM, recomputed from heads run one by one."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from builders import classifier, gap_linear, vgg_like, vit_like
from graphs import CLASSES, SIDE, pictures
from methods.search.rerunning import logits_behind, values_of

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.methods.search.ablationcam import AblationCAM


def weights_of(model: onnx.ModelProto, x: np.ndarray, layer: str, channel: int) -> np.ndarray:
    """(y - y without the channel) / y for every channel and class, (C, CLASSES)."""
    seen = values_of(model, [layer, "logits"], x)
    inside = []
    for k in range(seen[layer].shape[channel]):
        variant = seen[layer].copy()
        np.moveaxis(variant, channel, 0)[k] = 0
        inside.append({layer: variant})
    return (seen["logits"] - logits_behind(model, inside)) / seen["logits"]


@pytest.mark.parametrize("layer", ["relu1", "conv2", "features"])
def test_ablationcam(layer: str) -> None:
    model, x = classifier(), pictures(1, seed=2)
    maps = values_of(model, [layer], x)[layer][0]
    weights = weights_of(model, x, layer, 1)
    answer = onnxcam.Explainer(model, "ablationcam", layer=layer).run(x, top=CLASSES)
    for k, index in enumerate(answer["target"][0]):
        expected = np.maximum(np.tensordot(weights[:, index], maps, 1), 0)
        np.testing.assert_allclose(answer["raw"][0, k], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layer", ["normed", "embedded"])
def test_ablationcam_of_tokens_ablates_the_class_token_too(layer: str) -> None:
    """`normed` has a skip connection around it, and the model's batch is fixed inside."""
    model, x = vit_like(), pictures(1, seed=2)
    seen = values_of(model, [layer, "embedded", "logits"], x)
    inside = []
    for k in range(8):
        variant = seen[layer].copy()
        variant[..., k] = 0
        inside.append({"embedded": seen["embedded"], layer: variant})
    weights = (seen["logits"] - logits_behind(model, inside)) / seen["logits"]
    expected = np.maximum((seen[layer][0, 1:] @ weights[:, 1]).reshape(4, 4), 0)
    raw = onnxcam.Explainer(model, "ablationcam", layer=layer).run(x, target=1)["raw"][0, 0]
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-5)


def test_on_pooling_and_a_linear_layer_weights_are_each_channels_share_of_the_score() -> None:
    w = np.array([[1.0, 2.0, 0.5], [-1.0, 1.0, 3.0]])
    model, x = gap_linear(w), np.abs(pictures(1, side=4))
    share = w * x[0].mean((1, 2)) / (x[0].mean((1, 2)) @ w.T)[:, None]
    raw = onnxcam.Explainer(model, "ablationcam", layer="features").run(x, top=2)
    for k, index in enumerate(raw["target"][0]):
        expected = np.maximum(np.tensordot(share[index], x[0], 1), 0)
        np.testing.assert_allclose(raw["raw"][0, k], expected, rtol=1e-4)


def test_pictures_of_a_batch_are_searched_each_for_itself() -> None:
    model, x = classifier(("n", 3, SIDE, SIDE)), pictures(3)
    explainer = onnxcam.Explainer(model, "ablationcam")
    together = explainer.run(x, target=[0, 1, 2])["raw"]
    for n in range(3):
        alone = explainer.run(x[n : n + 1], target=n)["raw"]
        np.testing.assert_allclose(together[n], alone[0], rtol=1e-4, atol=1e-6)


def test_a_batch_fixed_to_several_pictures() -> None:
    x = pictures(3)
    fixed = onnxcam.Explainer(classifier((3, 3, SIDE, SIDE)), "ablationcam").run(x, target=1)
    free = onnxcam.Explainer(classifier(("n", 3, SIDE, SIDE)), "ablationcam").run(x, target=1)
    np.testing.assert_allclose(fixed["raw"], free["raw"], rtol=1e-4, atol=1e-6)


def test_only_the_channels_most_inside_and_most_outside_are_ablated() -> None:
    """Four channels: two lie where the others do not; of four, a quarter and a quarter is tried."""
    rng = np.random.default_rng(0)
    maps = rng.random((8, 6, 6)).astype(np.float32)
    flat = maps.reshape(8, -1).T
    centred = flat - flat.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    projection = np.abs(centred @ vectors[:, values.argmax()])
    raised = (projection - projection.min()) / (projection.max() - projection.min())
    inside = raised.reshape(6, 6) > 0.01
    raised_maps = maps - maps.min((1, 2), keepdims=True)
    share = (raised_maps * inside).sum((1, 2)) / raised_maps.sum((1, 2))
    order = np.argsort(share)
    chosen = AblationCAM(ratio_channels_to_ablate=0.25)._chosen(maps)
    assert set(np.flatnonzero(chosen)) == {*order[:2], *order[-2:]}
    assert AblationCAM(ratio_channels_to_ablate=0.5)._chosen(maps).all()


def test_channels_that_are_not_ablated_count_as_of_no_effect() -> None:
    model, x = vgg_like(), pictures(1, seed=2)
    maps = values_of(model, ["features"], x)["features"][0]
    weights = weights_of(model, x, "features", 1)[:, 1]
    weights[~AblationCAM(ratio_channels_to_ablate=0.2)._chosen(maps)] = 0
    explainer = onnxcam.Explainer(
        model, "ablationcam", layer="features", ratio_channels_to_ablate=0.2
    )
    expected = np.maximum(np.tensordot(weights, maps, 1), 0)
    raw = explainer.run(x, target=1)["raw"][0, 0]
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("ratio", [0.0, -0.5, 1.5])
def test_an_impossible_ratio(ratio: float) -> None:
    with pytest.raises(MethodError, match="ratio_channels_to_ablate"):
        onnxcam.Explainer(classifier(), "ablationcam", ratio_channels_to_ablate=ratio)
