"""Sizes of windows: what is believed of them is what ONNX Runtime computes."""

from itertools import islice

import numpy as np
import onnx
import pytest
from autodiff.matrix import MATRICES
from autodiff.numeric import (
    assert_close,
    case,
    difference_gradient,
    graph_model,
    model_of,
    session_of,
)
from onnx import helper

from onnxcam.gradients import append_gradients
from onnxcam.graph.network import Network
from onnxcam.graph.window_shapes import is_doubtful

ODD = [
    ("MaxPool", 18, {"kernel_shape": [4, 4], "strides": [3, 3], "pads": [1, 1, 2, 2]}),
    ("MaxPool", 18, {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "dilations": [2, 2]}),
    ("AveragePool", 19, {"kernel_shape": [1, 1], "strides": [3, 2]}),
    ("AveragePool", 19, {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER", "dilations": [2, 2]}),
]
ODD = [(op, opset, {"ceil_mode": 1} | attrs) for op, opset, attrs in ODD]


@pytest.mark.parametrize("op", MATRICES)
def test_sizes_are_those_that_are_computed(op: str) -> None:
    tried = 0
    for each in islice(MATRICES[op](), 0, None, 211):
        model = model_of(each)
        x = np.zeros(each.inputs[0], np.float32)
        try:
            (y,) = session_of(model).run(["y0"], {"x0": x})
        except Exception:  # ONNX Runtime refuses the node
            continue
        assert Network(model).tensors["y0"].shape == list(y.shape), each
        tried += 1
    assert tried > 10


def test_common_windows_are_not_doubted() -> None:
    usual = [
        case("MaxPool", (1, 2, 9, 9), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        case("MaxPool", (1, 2, 9, 9), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        case("AveragePool", (1, 2, 9, 9), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        case("AveragePool", (1, 2, 9, 9), kernel_shape=[3, 3], auto_pad="SAME_UPPER"),
    ]
    for each in usual:
        model = model_of(each)
        assert not is_doubtful(model.graph.node[0])
        assert Network(model).proto is model


def between(op: str, opset: int, attrs: dict, dims: list[int | str]) -> onnx.ModelProto:
    """The pooling between nodes whose sizes follow from its own."""
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node(op, ["s"], ["p"], **attrs),
        helper.make_node("Relu", ["p"], ["r"]),
        helper.make_node("Conv", ["r", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node("Mul", ["t", "c"], ["m"]),
        helper.make_node("GlobalAveragePool", ["m"], ["y"]),
    ]
    w = np.random.default_rng(0).normal(size=(2, 1, 3, 3)).astype(np.float32)
    return graph_model(nodes, {"x": dims}, ["y"], {"w": w}, opset)


@pytest.mark.parametrize("dims", [[1, 1, 7, 8], ["n", 1, 7, 8], ["n", 1, "h", "w"]], ids=str)
@pytest.mark.parametrize(("op", "opset", "attrs"), ODD)
def test_gradients_flow_through_misjudged_sizes(op, opset, attrs, dims) -> None:
    model = between(op, opset, attrs, dims)
    assert is_doubtful(model.graph.node[1])
    x = (np.random.default_rng(1).permutation(56).reshape(1, 1, 7, 8) / 14 - 2).astype(np.float32)
    session = session_of(append_gradients(model, of="y", wrt=["x"]))
    y, got = session.run(["y", "x_grad"], {"x": x})
    plain = session_of(model)
    assert_close(y, plain.run(["y"], {"x": x})[0])
    want = difference_gradient(
        lambda v: plain.run(["y"], {"x": v.astype(np.float32)})[0],
        x.astype(np.float64),
        np.ones(y.shape),
        1e-2,
    )
    assert_close(got, want, 2e-3)
