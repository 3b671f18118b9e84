"""Sizes of windows, stated in the graph: the same values, and shapes that nobody mistakes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from autodiff.numeric import graph_model, session_of
from onnx import helper, numpy_helper

from onnxcam.graph.stated_windows import with_stated_windows

node = helper.make_node
X = np.random.default_rng(0).permutation(2 * 2 * 7 * 8).reshape(2, 2, 7, 8).astype(np.float32)
W = np.random.default_rng(1).integers(-3, 4, (2, 2, 1, 1)).astype(np.float32)

DOUBTFUL = {
    "last window in the padding": (
        "MaxPool",
        {"kernel_shape": [4, 4], "strides": [3, 3], "pads": [1, 1, 2, 2], "ceil_mode": 1},
    ),
    "dilated and padded to SAME": (
        "MaxPool",
        {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "dilations": [2, 2]},
    ),
    "strides longer than the window": (
        "AveragePool",
        {"kernel_shape": [1, 1], "strides": [3, 2], "ceil_mode": 1},
    ),
    "output padding with SAME": (
        "ConvTranspose",
        {
            "kernel_shape": [1, 1],
            "strides": [2, 2],
            "auto_pad": "SAME_UPPER",
            "output_padding": [1, 1],
        },
    ),
}
"""Windows of which onnx infers another size than ONNX Runtime computes."""


def model_of(name: str, dims: list[int | str]) -> onnx.ModelProto:
    op, attrs = DOUBTFUL[name]
    inputs = ["s", "w"] if op == "ConvTranspose" else ["s"]
    nodes = [node("Neg", ["x"], ["s"]), node(op, inputs, ["p"], **attrs)]
    nodes.append(node("Abs", ["p"], ["y"]))
    return graph_model(nodes, {"x": dims}, ["y", "p"], {"w": W}, 19)


def shape_stated(model: onnx.ModelProto) -> list[int]:
    (reshape,) = (n for n in model.graph.node if n.op_type == "Reshape")
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    return numpy_helper.to_array(stored[reshape.input[1]]).tolist()


@pytest.mark.parametrize("dims", [[2, 2, 7, 8], ["n", 2, 7, 8], ["n", 2, "h", "w"]], ids=str)
@pytest.mark.parametrize("name", DOUBTFUL)
def test_the_values_are_what_they_were(name: str, dims: list[int | str]) -> None:
    model = model_of(name, dims)
    before = model.SerializeToString()
    stated = with_stated_windows(model)
    assert model.SerializeToString() == before
    for got, want in zip(
        session_of(stated).run(["y", "p"], {"x": X}),
        session_of(model).run(["y", "p"], {"x": X}),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", DOUBTFUL)
def test_the_size_stated_is_the_one_that_is_computed(name: str) -> None:
    model = model_of(name, ["n", 2, 7, 8])
    (p,) = session_of(model).run(["p"], {"x": X})
    assert shape_stated(with_stated_windows(model)) == [0, 0, *p.shape[2:]]


def test_a_size_that_only_the_run_knows_is_left_open() -> None:
    model = with_stated_windows(model_of("last window in the padding", ["n", 2, "h", 8]))
    (p,) = session_of(model).run(["p"], {"x": X})
    assert shape_stated(model) == [0, 0, 0, p.shape[3]]


def test_what_onnx_infers_from_there_is_right() -> None:
    """Without the `Reshape`, ONNX Runtime warns of each of these."""
    for name in DOUBTFUL:
        model = with_stated_windows(model_of(name, [2, 2, 7, 8]))
        del model.graph.value_info[:]  # and what onnx took for the sizes of the outputs
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        (p,) = session_of(model).run(["p"], {"x": X})
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        (y,) = (v for v in inferred.graph.output if v.name == "y")
        assert [dim.dim_value for dim in y.type.tensor_type.shape.dim] == list(p.shape), name


@pytest.mark.parametrize("taken", ["p/window", "p/size"])
def test_names_that_are_there_already_are_not_taken(taken: str) -> None:
    model = model_of("last window in the padding", ["n", 2, 7, 8])
    for each in model.graph.node:
        for names in (each.input, each.output):
            names[:] = [taken if name == "s" else name for name in names]
    stated = with_stated_windows(model)
    onnx.checker.check_model(stated)
    (want,) = session_of(model).run(["y"], {"x": X})
    np.testing.assert_array_equal(session_of(stated).run(["y"], {"x": X})[0], want)


def test_indices_of_a_maximum_are_kept() -> None:
    op, attrs = DOUBTFUL["last window in the padding"]
    model = graph_model(
        [node(op, ["x"], ["p", "i"], **attrs)], {"x": [2, 2, 7, 8]}, ["p", "i"], {}, 19
    )
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    found = session_of(with_stated_windows(model)).run(["p", "i"], {"x": X})
    np.testing.assert_array_equal(found[0].ravel(), X.ravel()[found[1].ravel()])


def test_a_window_of_unknown_rank_is_left_alone() -> None:
    nodes = [node("Reshape", ["x", "shape"], ["s"])]
    op, attrs = DOUBTFUL["last window in the padding"]
    nodes.append(node(op, ["s"], ["y"], **attrs))
    model = graph_model(nodes, {"x": [2, 2, 7, 8]}, ["y"], {}, 19)
    shape = helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, ["rank"])
    model.graph.input.append(shape)
    stated = with_stated_windows(model)
    feeds = {"x": X, "shape": np.array(X.shape)}
    assert len(stated.graph.node) == 2
    assert isinstance(session_of(stated), onnxruntime.InferenceSession)
    np.testing.assert_array_equal(
        session_of(stated).run(["y"], feeds)[0], session_of(model).run(["y"], feeds)[0]
    )


def test_other_models_are_left_alone() -> None:
    nodes = [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, ceil_mode=1)]
    model = graph_model(nodes, {"x": [2, 2, 7, 8]}, ["y"], {}, 19)
    assert with_stated_windows(model) is model
