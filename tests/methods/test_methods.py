"""The table of methods, and Grad-CAM's formula on every layout."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from builders import channels_last, vit_like
from graphs import CLASSES, pictures
from methods.gradient import layouts

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.methods import find_method, methods
from onnxcam.runtime import Runner


def test_methods_are_sorted_and_described() -> None:
    found = methods()
    assert [m.name for m in found] == sorted(m.name for m in found)
    for m in found:
        assert type(find_method(m.name)) is m
        assert m.title
        assert m.formula
        assert m.paper
        assert m.needs
        assert m.cost


@pytest.mark.parametrize(
    ("name", "words"), [("gradcan", "'gradcam'"), ("GradCAM", "'gradcam'"), ("xyz", "there is")]
)
def test_an_unknown_method_offers_what_there_is(name: str, words: str) -> None:
    with pytest.raises(MethodError, match=words):
        find_method(name)


def numpy_gradcam(
    activations: np.ndarray, gradient: np.ndarray, channel: int, spatial: tuple[int, ...]
) -> np.ndarray:
    """ReLU of the channels' sum weighted by the gradient's mean over positions, (N, *size)."""
    w = gradient.mean(axis=spatial, keepdims=True)
    return np.maximum((w * activations).sum(axis=channel), 0)


def seen(model: onnx.ModelProto, layer: str, x: np.ndarray, target: int) -> tuple[np.ndarray, ...]:
    """The map, the activations and the gradient of one logit, by independent ways."""
    logits = "logits"
    b = onnx.ModelProto()
    b.CopyFrom(model)
    b.graph.initializer.append(
        onnx.numpy_helper.from_array(np.eye(CLASSES, dtype=np.float32)[target], "pick")
    )
    b.graph.node.append(onnx.helper.make_node("Mul", [logits, "pick"], ["picked"]))
    b.graph.output.append(onnx.helper.make_tensor_value_info("picked", 1, None))
    b.graph.output.append(onnx.helper.make_tensor_value_info(layer, 1, None))
    made = onnxcam.append_gradients(b, of="picked", wrt=[layer])
    runner = Runner(made)
    answer = runner.run({model.graph.input[0].name: x})
    raw = onnxcam.Explainer(model, layer=layer).run(x, target=target)["raw"][:, 0]
    return raw, answer[layer], answer[f"{layer}_grad"]


@pytest.mark.parametrize("target", range(CLASSES))
@pytest.mark.parametrize("layer", ["conv1", "model_1/relu_1/Relu:0"])
def test_gradcam_channels_first(layer: str, target: int) -> None:
    x = pictures(2).transpose(0, 2, 3, 1)
    raw, activations, gradient = seen(channels_last(), layer, x, target)
    expected = numpy_gradcam(activations, gradient, 1, (2, 3))
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("target", range(CLASSES))
@pytest.mark.parametrize("layer", ["normed", "squashed"])
def test_gradcam_channels_last(layer: str, target: int) -> None:
    raw, activations, gradient = seen(layouts.channels_last(), layer, pictures(2), target)
    expected = numpy_gradcam(activations, gradient, 3, (1, 2))
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("target", range(CLASSES))
@pytest.mark.parametrize("layer", ["normed", "embedded"])
def test_gradcam_on_tokens_leaves_the_class_token_out(layer: str, target: int) -> None:
    raw, activations, gradient = seen(vit_like(), layer, pictures(), target)
    expected = numpy_gradcam(activations[:, 1:], gradient[:, 1:], 2, (1,))
    np.testing.assert_allclose(raw, expected.reshape(1, 4, 4), rtol=1e-4, atol=1e-6)
