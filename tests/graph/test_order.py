"""Nodes in an order that the specification asks for, out of one that it does not allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from autodiff.numeric import session_of
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnxcam.errors import ModelError
from onnxcam.graph.order import in_order

node = helper.make_node
X = np.float32([[-1.5, 0.25, 2.0]])


def model_of(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> onnx.ModelProto:
    x, *made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", *outputs)
    )
    stored = [numpy_helper.from_array(np.array(True), "c")]
    graph = helper.make_graph(nodes, "mixed", [x], made, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def outputs_in_order(model: onnx.ModelProto) -> list[str]:
    return [n.output[0] for n in model.graph.node]


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Nodes in order, each of which may read the ones before it, and the same in any order."""
    ordered = []
    names = ["x"]
    for k in range(draw(st.integers(2, 9))):
        a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        ordered.append(node(draw(st.sampled_from(["Sub", "Max"])), [a, b], [f"t{k}"]))
        names.append(f"t{k}")
    return ordered, draw(st.permutations(ordered))


def earliest_first(nodes: Sequence[onnx.NodeProto]) -> list[str]:
    """Again and again the first node whose inputs are there."""
    left, there, found = list(nodes), {"x"}, []
    while left:
        ready = next(n for n in left if there.issuperset(n.input))
        left.remove(ready)
        there.update(ready.output)
        found.append(ready.output[0])
    return found


@settings(max_examples=60, deadline=None)
@given(shuffled())
def test_shuffled_nodes_are_put_in_order(
    nodes: tuple[list[onnx.NodeProto], list[onnx.NodeProto]],
) -> None:
    ordered, mixed = nodes
    names = [n.output[0] for n in ordered]
    given_model = model_of(mixed, names)
    before = given_model.SerializeToString()
    found = in_order(given_model)
    assert outputs_in_order(found) == earliest_first(mixed)
    assert given_model.SerializeToString() == before
    onnx.checker.check_model(found)
    want = session_of(model_of(ordered, names)).run(None, {"x": X})
    for got, value in zip(session_of(found).run(None, {"x": X}), want, strict=True):
        np.testing.assert_array_equal(got, value)


def test_nodes_in_order_are_left_alone() -> None:
    model = model_of([node("Exp", ["x"], ["a"]), node("Relu", ["a"], ["y"])], ["y"])
    assert in_order(model) is model


def branches(then: Sequence[onnx.NodeProto], y: str = "y") -> onnx.NodeProto:
    """An If of the stored condition; its result is what the last of the nodes makes."""
    bodies = {}
    for name, inner in (("then", list(then)), ("else", [node("Neg", ["x"], ["other"])])):
        out = helper.make_empty_tensor_value_info(inner[-1].output[0])
        bodies[f"{name}_branch"] = helper.make_graph(inner, name, [], [out])
    return node("If", ["c"], [y], **bodies)


def test_what_a_body_reads_comes_first() -> None:
    """Through two bodies, one in the other."""
    inner = branches([node("Sin", ["a"], ["deep"])], "middle")
    nodes = [branches([inner]), node("Exp", ["x"], ["a"])]
    found = in_order(model_of(nodes, ["y"]))
    assert outputs_in_order(found) == ["a", "y"]
    np.testing.assert_allclose(
        session_of(found).run(None, {"x": X})[0], np.sin(np.exp(X)), rtol=1e-6
    )


def test_what_a_body_puts_out_comes_first() -> None:
    """A branch may hand on a tensor from outside, with no node at all."""
    nodes = [branches([node("Sin", ["x"], ["s"])]), node("Exp", ["x"], ["a"])]
    nodes[0].attribute[0].g.ClearField("node")
    nodes[0].attribute[0].g.output[0].name = "a"
    assert outputs_in_order(in_order(model_of(nodes, ["y"]))) == ["a", "y"]


def test_a_name_of_a_bodys_own_is_none_outside() -> None:
    own = branches([node("Exp", ["x"], ["t"]), node("Sin", ["t"], ["s"])])
    model = model_of([own, node("Relu", ["y"], ["t"])], ["t"])
    assert in_order(model) is model


CYCLES = {
    "two nodes": [
        node("Exp", ["x"], ["free"], name="innocent"),
        node("Add", ["free", "b"], ["a"], name="first"),
        node("Relu", ["a"], ["b"], name="second"),
    ],
    "its own output": [node("Add", ["x", "a"], ["a"], name="first")],
    "through a body": [
        branches([node("Sin", ["a"], ["s"])], "b"),
        node("Relu", ["b"], ["a"], name="second"),
    ],
}
CYCLES["through a body"][0].name = "first"


@pytest.mark.parametrize("name", CYCLES)
def test_a_cycle_is_named(name: str) -> None:
    with pytest.raises(ModelError, match=r"node 'first' \(.*waits for its own output"):
        in_order(model_of(CYCLES[name], ["a"]))
