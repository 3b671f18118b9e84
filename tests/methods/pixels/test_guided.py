"""Guided backpropagation and its relatives, against a backward pass written out in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from builders import classifier, vit_like
from graphs import CLASSES, SIDE, Build, photo, pictures, weights
from onnx import helper, numpy_helper

import onnxcam

METHODS = ("guidedbackprop", "deconvolution", "saliency")
WIDTH = 6
SIZE = 3 * SIDE * SIDE


def two_layers(activation: str, **how: Any) -> onnx.ModelProto:
    """A linear layer on the whole picture, an activation, another layer, an activation, a head."""
    b = Build(("n", 3, SIDE, SIDE), opset=17)
    b.op("Flatten", ["image"], "flat")
    b.linear("flat", "a", SIZE, WIDTH)
    b.linear("h", "c", WIDTH, WIDTH)
    b.linear("k", "logits", WIDTH, CLASSES)
    for name in ("zero", "six", "three", "sixth"):
        value = {"zero": 0.0, "six": 6.0, "three": 3.0, "sixth": 1 / 6}[name]
        b.weight(name, np.float32(value))
    front, *others = b.nodes
    b.nodes.clear()
    b.nodes.extend([front, others[0]])
    activate(b, activation, "a", "h")
    b.nodes.append(others[1])
    activate(b, activation, "c", "k")
    b.nodes.append(others[2])
    b.output("logits", ["n", CLASSES])
    return b.model()


def activate(b: Build, activation: str, x: str, y: str) -> None:
    if activation == "relu6":
        b.op("Clip", [x, "zero", "six"], y)
    elif activation == "hard swish":
        b.op("Add", [x, "three"], f"{x}.up")
        b.op("Clip", [f"{x}.up", "zero", "six"], f"{x}.cut")
        b.op("Mul", [f"{x}.cut", "sixth"], f"{x}.gate")
        b.op("Mul", [x, f"{x}.gate"], y)
    else:
        b.op(activation, [x], y)


def parameters(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    found = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    return {key: value for key, value in found.items() if "." in key}


def by_hand(model: onnx.ModelProto, x: np.ndarray, target: int, method: str, top: float):
    """The picture's modified gradient where an activation is min(max(x, 0), top)."""
    p = parameters(model)
    inputs, h = [], x.reshape(len(x), -1).astype(np.float64)
    for name in "ac":
        z = h @ p[f"{name}.weight"].T + p[f"{name}.bias"]
        inputs.append(z)
        h = np.clip(z, 0, top)
    dy = np.repeat(p["logits.weight"][target][None], len(x), axis=0)
    for name, z in zip("ca", inputs[::-1], strict=True):
        passed = (z > 0) & (z < top)
        dy = {
            "guidedbackprop": np.where(passed & (dy > 0), dy, 0),
            "deconvolution": np.maximum(dy, 0),
            "saliency": np.where(passed, dy, 0),
        }[method] @ p[f"{name}.weight"]
    return dy.reshape(x.shape)


@pytest.mark.parametrize("target", [0, 2])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("activation", "top"), [("Relu", np.inf), ("relu6", 6.0)])
def test_it_is_what_relus_let_through(
    activation: str, top: float, method: str, target: int
) -> None:
    model, x = two_layers(activation), pictures(3)
    g = by_hand(model, x, target, method, top)
    expected = np.abs(g).max(axis=1) if method == "saliency" else g.sum(axis=1)
    found = onnxcam.Explainer(model, method=method).run(x, target=target)["raw"][:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    others = {m: by_hand(model, x, target, m, top) for m in METHODS}
    assert not np.allclose(others["guidedbackprop"], others["deconvolution"])
    assert not np.allclose(others["guidedbackprop"], others["saliency"])


@pytest.mark.parametrize("method", ["guidedbackprop", "deconvolution"])
@pytest.mark.parametrize("activation", ["HardSwish", "hard swish", "Elu", "Tanh"])
def test_without_relus_it_is_the_plain_gradient(activation: str, method: str) -> None:
    """Whatever a hard swish is put together from."""
    model, x = two_layers(activation), pictures(2)
    explainer = onnxcam.Explainer(model, method=method, preprocess="0-1")
    # The gradient's sum over channels, by way of pictures of which all channels are the same.
    grey = np.repeat(x[:, :1], 3, axis=1)
    times_x = onnxcam.Explainer(model, method="inputxgradient").run(grey, target=1)["raw"]
    found = explainer.run(grey, target=1)["raw"]
    np.testing.assert_allclose(found * grey[:, :1], times_x, rtol=1e-4, atol=1e-5)
    (warning,) = explainer.explain(photo(), target=1).warnings
    assert "no ReLU" in warning
    assert method in warning


@pytest.mark.parametrize("method", ["guidedbackprop", "deconvolution", "guidedgradcam"])
def test_a_model_with_relus_gets_no_warning(method: str) -> None:
    explainer = onnxcam.Explainer(classifier(), method=method, preprocess="0-1")
    found = explainer.explain(photo(), target=1)
    assert found.warnings == []
    assert found.raw.shape == (SIDE, SIDE)


@pytest.mark.parametrize("method", ["guidedbackprop", "deconvolution", "guidedgradcam", "lrp"])
def test_relus_are_found_in_fused_convolutions(method: str) -> None:
    plain = classifier(("n", 3, SIDE, SIDE))
    fused = onnx.ModelProto()
    fused.CopyFrom(plain)
    relus = {n.input[0]: n for n in plain.graph.node if n.op_type == "Relu"}
    del fused.graph.node[:]
    for node in plain.graph.node:
        if node.op_type == "Relu":
            continue
        copy = fused.graph.node.add()
        copy.CopyFrom(node)
        if node.output[0] in relus:
            copy.op_type, copy.domain = "FusedConv", "com.microsoft"
            copy.attribute.append(helper.make_attribute("activation", "Relu"))
            copy.output[0] = relus[node.output[0]].output[0]
    fused.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    x = pictures(2)
    found = [onnxcam.Explainer(m, method=method).run(x, top=3)["raw"] for m in (plain, fused)]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-7)
    explainer = onnxcam.Explainer(fused, method=method)
    assert explainer.method.warnings(explainer.network) == ()


@pytest.mark.parametrize("layer", ["features", "relu1"])
def test_guided_gradcam_is_gradcam_times_guided_backpropagation(layer: str) -> None:
    model, x = classifier(("n", 3, SIDE, SIDE)), pictures(2)

    def run(method: str, **how: Any) -> np.ndarray:
        return np.asarray(onnxcam.Explainer(model, method=method, **how).run(x, top=2)["raw"])

    cam, details = run("gradcam", layer=layer), run("guidedbackprop")
    rows = between(cam.shape[-2], SIDE)
    large = np.einsum("hi,nkij,wj->nkhw", rows, cam, rows)
    found = run("guidedgradcam", layer=layer)
    np.testing.assert_allclose(found, large * details, rtol=1e-4, atol=1e-7)


def between(cells: int, size: int) -> np.ndarray:
    """(size, cells) matrix that interpolates linearly between the centres of cells."""
    at = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))


def test_guided_gradcam_on_tokens_and_on_signals() -> None:
    found = onnxcam.Explainer(vit_like(), method="guidedgradcam").run(pictures(1), top=2)
    assert found["raw"].shape == (1, 2, SIDE, SIDE)
    b = Build(("n", 2, 24), opset=13)
    b.op("Conv", ["image", b.weight("w", weights(6, 2, 3))], "c", pads=[1, 1], strides=[2])
    b.op("Relu", ["c"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 6, CLASSES)
    b.output("logits", ["n", CLASSES])
    signal = weights(2, 2, 24, seed=1)
    cam = onnxcam.Explainer(b.model(), method="gradcam").run(signal, target=1)["raw"]
    details = onnxcam.Explainer(b.model(), method="guidedbackprop").run(signal, target=1)["raw"]
    found = onnxcam.Explainer(b.model(), method="guidedgradcam").run(signal, target=1)
    expected = (cam @ between(12, 24).T) * details
    np.testing.assert_allclose(found["raw"], expected, rtol=1e-4, atol=1e-7)
