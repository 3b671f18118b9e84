"""Layer-wise relevance propagation: conservation, and its rules written out in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from builders import classifier, vit_like
from graphs import CLASSES, SIDE, Build, pictures, weights
from onnx import numpy_helper

import onnxcam
from onnxcam.errors import MethodError


def relevance(model: onnx.ModelProto, x: np.ndarray, target: int, **how: Any) -> np.ndarray:
    explainer = onnxcam.Explainer(model, method="lrp", **how)
    return np.asarray(explainer.run(x, target=target)["raw"][:, 0])


def score(model: onnx.ModelProto, x: np.ndarray, target: int) -> np.ndarray:
    return np.asarray(onnxcam.Explainer(model, method="saliency").run(x)["logits"][:, target])


def without_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".bias"):
            zero = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(zero, tensor.name))
    return model


def network(activation: str = "Relu") -> onnx.ModelProto:
    """A residual block, squeeze and excitation, poolings and two branches, joined."""
    b = Build(("n", 3, SIDE, SIDE), opset=17)
    b.conv("image", "c1", (6, 3, 3, 3))
    b.op(activation, ["c1"], "h1")
    b.op("MaxPool", ["h1"], "p1", kernel_shape=[2, 2], strides=[2, 2])
    b.conv("p1", "c2", (6, 6, 3, 3))
    b.op("Add", ["c2", "p1"], "sum")
    b.op(activation, ["sum"], "h2")
    b.op("GlobalAveragePool", ["h2"], "squeezed")
    b.conv("squeezed", "excited", (6, 6, 1, 1))
    b.op("Sigmoid", ["excited"], "gate")
    b.op("Mul", ["gate", "h2"], "scaled")
    b.conv("scaled", "left", (4, 6, 1, 1))
    b.conv("scaled", "right", (6, 1, 3, 3), group=6)
    b.op("Concat", ["left", "right"], "joined", axis=1)
    b.op("AveragePool", ["joined"], "p2", kernel_shape=[2, 2], strides=[2, 2])
    b.op(activation, ["p2"], "h3")
    b.op("ReduceMean", ["h3"], "flat", axes=[2, 3], keepdims=0)
    b.linear("flat", "hidden", 10, 7)
    b.op(activation, ["hidden"], "h4")
    b.linear("h4", "logits", 7, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


@pytest.mark.parametrize("gamma", [0.0, 0.25, 3.0])
@pytest.mark.parametrize("activation", ["Relu", "HardSwish", "LeakyRelu", "Tanh", "Elu"])
def test_without_biases_the_pixels_share_the_score(activation: str, gamma: float) -> None:
    model, x = without_biases(network(activation)), pictures(2)
    for target in (0, 3):
        found = relevance(model, x, target, gamma=gamma)
        assert np.abs(found).max() > 1e-4
        expected = score(model, x, target)
        np.testing.assert_allclose(found.sum(axis=(1, 2)), expected, rtol=1e-3, atol=1e-5)


def test_epsilon_absorbs_relevance() -> None:
    model, x = without_biases(network()), pictures(1)
    totals = [abs(relevance(model, x, 0, gamma=0, epsilon=s)).sum() for s in (0, 0.01, 0.1, 1, 10)]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < 0.1 * totals[0]


def test_the_plain_rule_in_a_relu_network_is_input_times_gradient() -> None:
    model, x = classifier(("n", 3, SIDE, SIDE)), pictures(2)
    expected = onnxcam.Explainer(model, method="inputxgradient").run(x, target=1)["raw"][:, 0]
    np.testing.assert_allclose(relevance(model, x, 1, gamma=0), expected, rtol=1e-5, atol=1e-7)


def pointwise(last: str) -> onnx.ModelProto:
    """1x1 convolutions, so that every pixel is a little network of its own."""
    b = Build(("n", 3, SIDE, SIDE), opset=17)
    b.conv("image", "a", (7, 3, 1, 1))
    b.op("Relu", ["a"], "h")
    b.conv("h", "c", (6, 7, 1, 1))
    b.op(last, ["c"], "k")
    b.op("ReduceMean", ["k"], "flat", axes=[2, 3], keepdims=0)
    b.linear("flat", "logits", 6, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def shared(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray, gamma: float, epsilon: float
):
    """Relevance (P, I) of inputs (P, I), neuron by neuron, from that of the outputs (P, J)."""
    found = np.zeros_like(x)
    for p in range(len(x)):
        for j in range(len(w)):
            summands, bias = x[p] * w[j], b[j]
            y = summands.sum() + bias
            sign = 1 if y > 0 else -1
            summands = summands + gamma * summands * (summands * sign > 0)
            bias = bias + gamma * bias * (bias * sign > 0)
            z = summands.sum() + bias + sign * epsilon
            found[p] += summands / z * r[p, j]
    return found


@pytest.mark.parametrize("last", ["Relu", "Tanh", "Neg"])
@pytest.mark.parametrize(("gamma", "epsilon"), [(0.25, 0.0), (2.0, 0.1), (0.0, 0.1)])
def test_convolutions_stress_what_has_the_sign_of_the_sum(
    last: str, gamma: float, epsilon: float
) -> None:
    model, x = pointwise(last), pictures(1)
    p = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    w1, w2 = p["a.weight"][..., 0, 0], p["c.weight"][..., 0, 0]
    pixels = x[0].reshape(3, -1).T.astype(np.float64)
    h = np.maximum(pixels @ w1.T + p["a.bias"], 0)
    c = h @ w2.T + p["c.bias"]
    k = {"Relu": np.maximum(c, 0), "Tanh": np.tanh(c), "Neg": -c}[last]
    flat = k.mean(axis=0)
    logit = (flat @ p["logits.weight"].T + p["logits.bias"])[2]
    r_flat = flat * p["logits.weight"][2] * abs(logit) / (abs(logit) + epsilon)
    r_flat = r_flat * np.abs(flat) / (np.abs(flat) + epsilon)
    r_k = r_flat * k / k.sum(axis=0)
    r_h = shared(h, w2, p["c.bias"], r_k, gamma, epsilon)
    r_x = shared(pixels, w1, p["a.bias"], r_h, gamma, epsilon)
    found = relevance(model, x, 2, gamma=gamma, epsilon=epsilon)
    expected = r_x.sum(axis=1).reshape(1, SIDE, SIDE)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_a_batch_normalisation_is_a_linear_layer() -> None:
    b = Build(("n", 3, SIDE, SIDE), opset=17)
    b.conv("image", "a", (4, 3, 3, 3))
    for k, name in enumerate(("scale", "shift", "mean")):
        b.weight(name, weights(4, seed=k) + (1 if name == "scale" else 0))
    b.weight("variance", np.float32([0.5, 1, 1.5, 2]))
    b.op("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], "n1")
    b.op("Relu", ["n1"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 4, CLASSES)
    b.output("logits", ["n", CLASSES])
    model, x = b.model(), pictures(2)
    expected = onnxcam.Explainer(model, method="inputxgradient").run(x, target=1)["raw"][:, 0]
    np.testing.assert_allclose(relevance(model, x, 1, gamma=0), expected, rtol=1e-5, atol=1e-7)
    assert not np.allclose(relevance(model, x, 1), expected)


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("Softmax", r"\(Softmax\) has no rule"),
        ("Exp", r"\(Exp\) has no rule"),
        ("square", "none is a gate"),
        ("quotient", "divides by an activation"),
        ("attention", "as attention does"),
    ],
)
def test_what_has_no_rule_is_refused_by_name(op: str, words: str) -> None:
    b = Build()
    b.conv("image", "a", (4, 3, 3, 3))
    if op == "square":
        b.op("Mul", ["a", "a"], "odd")
    elif op == "quotient":
        b.op("Relu", ["a"], "size")
        b.op("Div", ["size", "a"], "odd")
    elif op == "attention":
        b.op("MatMul", ["a", "a"], "odd")
    else:
        b.op(op, ["a"], "odd")
    b.op("GlobalAveragePool", ["odd"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 4, CLASSES)
    b.output("logits", [1, CLASSES])
    with pytest.raises(MethodError, match=words):
        relevance(b.model(), pictures(1), 0)


def test_transformers_are_refused() -> None:
    with pytest.raises(MethodError, match=r"LayerNormalization.*integratedgradients"):
        relevance(vit_like(), pictures(1), 0)


def quantised() -> onnx.ModelProto:
    """A convolution between quantisers that round to integers with an offset."""
    b = Build(("n", 3, SIDE, SIDE), opset=17)
    b.weight("step", np.float32(0.03))
    b.weight("offset", np.uint8(110))
    for x, y in (("image", "x"), ("a", "h")):
        b.op("QuantizeLinear", [x, "step", "offset"], f"{y}.stored")
        b.op("DequantizeLinear", [f"{y}.stored", "step", "offset"], y)
        if y == "x":
            b.conv("x", "a", (4, 3, 3, 3))
    b.op("GlobalAveragePool", ["h"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 4, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def test_a_quantisers_clipping_is_no_activation() -> None:
    model, x = quantised(), pictures(2)

    def run(method: str) -> np.ndarray:
        return np.asarray(onnxcam.Explainer(model, method=method).run(x, target=1)["raw"][:, 0])

    np.testing.assert_allclose(relevance(model, x, 1, gamma=0), run("inputxgradient"), rtol=1e-5)
    np.testing.assert_allclose(run("guidedbackprop"), run("deconvolution"), rtol=1e-5)
    assert (run("guidedbackprop") < 0).any()
