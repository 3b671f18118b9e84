"""Graphs of thousands of nodes: no recursion limit, and the gradients of small ones."""

from __future__ import annotations

from collections.abc import Callable

import large
import numpy as np
import onnx
import pytest
from graphs import pictures
from onnx import helper, numpy_helper

import onnxcam
from onnxcam.runtime import Runner


def gradient(model: onnx.ModelProto, wrt: str) -> np.ndarray:
    """d sum(logits) / d wrt, as ONNX Runtime computes it."""
    made = onnxcam.append_gradients(model, "logits", [wrt])
    return Runner(made, ["cpu"]).run({"image": pictures()})[f"{wrt}_grad"]


def weight(model: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == name))


@pytest.mark.parametrize("build", large.SHAPES)
def test_a_thousand_nodes_are_read_and_rewritten(
    build: Callable[[int], onnx.ModelProto],
) -> None:
    model = build(1200)
    assert len(onnxcam.find_layers(model)) > 0
    made = onnxcam.rewrite(model)
    assert Runner(made, ["cpu"]).run({"image": pictures()})["cam"].size > 0


def test_a_chain_longer_than_any_stack() -> None:
    """ReLUs of ReLUs, whose gradient is that of the first."""
    b = large.Graph()
    last = b.stem(8)
    for k in range(1100):
        last = b.op("Relu", [last], f"x{k}")
    model = b.model(last, 8)
    seen = Runner(onnxcam.append_gradients(model, "logits", ["stem"]), ["cpu"])
    first = Runner(_with_output(model, "stem"), ["cpu"]).run({"image": pictures()})["stem"]
    rows = weight(model, "head.weight").sum(1)[None, :, None, None]
    expected = (first > 0) * rows / first[0, 0].size
    found = seen.run({"image": pictures()})["stem_grad"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def _with_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    seen.graph.output.append(helper.make_empty_tensor_value_info(name))
    return seen


def test_a_tensor_read_a_thousand_times() -> None:
    one, many = (gradient(large.wide(2 * count), "image") for count in (1, 1000))
    np.testing.assert_allclose(many, 1000 * one, rtol=1e-3, atol=1e-4 * np.abs(many).max())


def test_a_concatenation_of_hundreds_of_parts() -> None:
    """All parts but the first are the same: ReLUs of ReLUs."""
    model = large.joined(500)
    stem = Runner(_with_output(model, "stem"), ["cpu"]).run({"image": pictures()})["stem"]
    rows = weight(model, "head.weight").sum(1)
    expected = (rows[0] + (stem > 0) * rows[1:].sum()) / stem[0, 0].size
    np.testing.assert_allclose(gradient(model, "stem"), expected, rtol=1e-3)


def test_branches_within_branches() -> None:
    """Twenty `If`s, each inside the one before."""
    b = large.Graph()
    b.stored.append(numpy_helper.from_array(np.array(True), "yes"))
    node = helper.make_node("Relu", [b.stem(8)], ["x20"])
    side = large.SIDE // 2
    for level in reversed(range(20)):
        name = node.output[0]
        made = helper.make_tensor_value_info(name, 1, [1, 8, side, side])
        body = helper.make_graph([node], name, [], [made])
        zero = helper.make_node("Sub", ["stem", "stem"], [f"zero{level}"])
        nothing = helper.make_tensor_value_info(f"zero{level}", 1, [1, 8, side, side])
        other = helper.make_graph([zero], f"other{level}", [], [nothing])
        inside = {"then_branch": body, "else_branch": other}
        node = helper.make_node("If", ["yes"], [f"x{level}"], **inside)
    b.nodes.append(node)
    model = b.model("x0", 8)
    plain = large.Graph()
    plain.op("Relu", [plain.stem(8)], "x0")
    expected = gradient(plain.model("x0", 8), "image")
    np.testing.assert_allclose(gradient(model, "image"), expected, rtol=1e-5)
