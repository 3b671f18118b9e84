"""Sequences of known elements: the model computes what it did, and has a gradient."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients
from onnxcam.graph.network import Network
from onnxcam.graph.sequences import without_sequences

node = helper.make_node
STORED = {
    "zero": np.array(0),
    "one": np.array(1),
    "last": np.array(-1),
    "two": np.array(2),
    "lengths": np.array([1, 3]),
}
SPLIT = node("SplitToSequence", ["x"], ["parts"], axis=1)
TWOS = node("SplitToSequence", ["x", "two"], ["parts"], axis=-2)
PARTS = node("SplitToSequence", ["x", "lengths"], ["parts"], axis=1)
SQUEEZED = node("SplitToSequence", ["x"], ["parts"], axis=1, keepdims=0)
EXP = node("Exp", ["x"], ["exp"])
BOTH = node("SequenceConstruct", ["x", "exp"], ["both"])
AT_ONE = node("SequenceAt", ["parts", "one"], ["a"])


def concat(sequence: str, **attrs: int) -> onnx.NodeProto:
    return node("ConcatFromSequence", [sequence], ["a"], **attrs)


FOLLOWED = {
    "part of length 1": [SPLIT, AT_ONE],
    "part without its axis": [SQUEEZED, AT_ONE],
    "part of one length": [TWOS, AT_ONE],
    "part of several lengths": [PARTS, AT_ONE],
    "last part": [PARTS, node("SequenceAt", ["parts", "last"], ["a"])],
    "parts joined": [PARTS, concat("parts", axis=1)],
    "tensors joined": [EXP, BOTH, concat("both", axis=-1)],
    "tensors stacked": [EXP, BOTH, concat("both", axis=1, new_axis=1)],
    "inserted": [
        EXP,
        node("SequenceEmpty", [], ["none"]),
        node("SequenceInsert", ["none", "x"], ["single"]),
        node("SequenceInsert", ["single", "exp", "zero"], ["pair"]),
        concat("pair", axis=2),
    ],
    "erased": [
        EXP,
        BOTH,
        node("SequenceErase", ["both", "zero"], ["rest"]),
        node("SequenceInsert", ["rest", "x"], ["more"]),
        node("SequenceErase", ["more"], ["less"]),
        node("SequenceAt", ["less", "zero"], ["a"]),
    ],
    "optional": [
        EXP,
        node("Optional", ["exp"], ["maybe"]),
        node("OptionalGetElement", ["maybe"], ["a"]),
    ],
}


def model_of(
    nodes: Sequence[onnx.NodeProto], opset: int, dims: Sequence[int | str] = ("n", 4, 3)
) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(dims))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(value, name) for name, value in STORED.items()]
    end = [node("Mul", ["a", "a"], ["square"]), node("Identity", ["square"], ["y"])]
    graph = helper.make_graph([*nodes, *end], "sequences", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("dims", [("n", 4, 3), (2, 4, 3), ("n", "h", 3)], ids=str)
@pytest.mark.parametrize("nodes", FOLLOWED.values(), ids=FOLLOWED.keys())
def test_gradient(nodes: list[onnx.NodeProto], dims: tuple[int | str, ...], opset: int) -> None:
    if nodes[-1].op_type == "OptionalGetElement":
        opset = max(opset, 15)
    model = model_of(nodes, opset, dims)
    x = np.random.default_rng(3).uniform(-1, 1, (2, 4, 3)).astype(np.float32)
    before = session_of(model)
    y, dx = session_of(append_gradients(model, of="y", wrt=["x"])).run(["y", "x_grad"], {"x": x})
    np.testing.assert_array_equal(y, before.run(["y"], {"x": x})[0])

    def total(moved: np.ndarray) -> float:
        return float(before.run(["y"], {"x": moved})[0].sum(dtype=np.float64))

    for index in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-2
        want = (total(x + step) - total(x - step)) / 2e-2
        np.testing.assert_allclose(dx[index], want, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    "there", ["element_0", "element_0/start", "unsqueezed_0", "unsqueezed_0/axis"]
)
def test_names_that_are_there_already_are_not_taken(there: str) -> None:
    nodes = [
        node("Neg", ["x"], [f"a/{there}"]),
        node("SplitToSequence", [f"a/{there}", "lengths"], ["parts"], axis=1),
        node("SequenceErase", ["parts", "zero"], ["rest"]),
        node("ConcatFromSequence", ["rest"], ["a"], axis=0, new_axis=1),
    ]
    model = model_of(nodes, 18)
    plain = without_sequences(model)
    x = np.random.default_rng(3).uniform(-1, 1, (2, 4, 3)).astype(np.float32)
    want = session_of(model).run(["y"], {"x": x})[0]
    np.testing.assert_array_equal(session_of(plain).run(["y"], {"x": x})[0], want)


def test_a_model_without_sequences_is_left_alone() -> None:
    model = model_of([node("Exp", ["x"], ["a"])], 18)
    assert Network(model).proto is model


def test_a_position_of_the_run_is_refused() -> None:
    at = node("ReduceMax", ["x"], ["largest"], keepdims=0)
    where = node("Cast", ["largest"], ["where"], to=TensorProto.INT64)
    nodes = [SPLIT, at, where, node("SequenceAt", ["parts", "where"], ["a"])]
    with pytest.raises(UnsupportedOperatorError, match=r"SequenceAt.*stored positions"):
        append_gradients(model_of(nodes, 18), of="y", wrt=["x"])
