"""Bodies of control flow: entered under new names, emitted into, closed, and written."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from autodiff.programs import parsed

from onnxcam.graph.body import close, enter, needed, node_proto
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

TEXT = """
g (float[2,3] x, bool b) => (float[2,3] y) <float[3] outer = {1.0, 2.0, 3.0}> {
  h = Exp(x)
  y = If (b) <
    then_branch = yes () => (float[2,3] r) <float[3] scale = {2.0, 0.5, -1.0}> {
      e = Mul(h, scale)
      r = Add(e, outer)
    },
    else_branch = no () => (float[2,3] r) <float[3] scale = {7.0, 7.0, 7.0}> {
      r = Add(h, scale)
    }
  >
}
"""


def emitter(text: str = TEXT) -> Emitter:
    return Emitter(Network(parsed(text)))


def branch(e: Emitter, name: str) -> gs.Graph:
    return next(node for node in e.network.graph.nodes if node.op == "If").attrs[name]


def test_a_body_is_entered_under_new_names() -> None:
    e = emitter()
    first, second = (enter(e, branch(e, "then_branch")) for _ in range(2))
    made = [{t.name for n in inner.nodes for t in n.outputs} for inner in (first, second)]
    assert [node.op for node in first.nodes] == ["Mul", "Add"]
    assert not made[0] & made[1]
    assert all(name.startswith("onnxcam/") for name in made[0] | made[1])


def test_what_it_reads_from_outside_keeps_its_name_and_gets_its_shape() -> None:
    e = emitter()
    inner = enter(e, branch(e, "then_branch"))
    h = inner.network.tensors["h"]
    assert (h.shape, h.dtype) == ([2, 3], np.float32)
    assert inner.network.graph.inputs == []
    (result,) = inner.network.graph.outputs
    assert result.shape == [2, 3]


def test_stored_values_are_known_inside_each_branch_its_own() -> None:
    e = emitter()
    values = []
    for name in ("then_branch", "else_branch"):
        inner = enter(e, branch(e, name))
        scale = inner.nodes[0].inputs[1]
        assert scale.name not in ("scale", "outer")
        values.append(inner.network.value(scale).tolist())
    assert values == [[2.0, 0.5, -1.0], [7.0, 7.0, 7.0]]
    add = enter(e, branch(e, "then_branch")).nodes[1]
    assert inner.network.value(add.inputs[1]).tolist() == [1.0, 2.0, 3.0]


def test_formal_inputs_take_the_shapes_that_are_given() -> None:
    e = emitter(
        """
        g (float[N,3] x, int64 count) => (float[N,3] y) {
          y = Loop (count, , x) <
            body = b (int64 i, bool go, float[P,Q] s) => (bool on, float[P,Q] t) {
            on = Identity(go)
            t = Exp(s)
          }>
        }
        """
    )
    (node,) = e.network.graph.nodes
    scalars = [gs.Variable("i", np.dtype(np.int64), []), gs.Variable("b", np.dtype(bool), [])]
    inner = enter(e, node.attrs["body"], [*scalars, e.network.tensors["x"]])
    assert len(inner.network.graph.inputs) == 3
    assert inner.network.graph.inputs[2].shape[1] == 3
    assert inner.network.graph.outputs[1].shape == inner.network.graph.inputs[2].shape


def test_closing_keeps_what_the_outputs_need() -> None:
    e = emitter()
    inner = Emitter(e.network, e)
    x = gs.Variable(e.name("step"), np.dtype(np.float32), [2, 3])
    used, aside = inner.unary("Exp", x), inner.unary("Sin", x)
    body = close(inner, [x], [used])
    assert [node.op for node in body.nodes] == ["Exp"]
    assert aside.name not in {t.name for node in body.nodes for t in node.outputs}
    assert [t.name for t in body.inputs] == [x.name]


def test_an_output_from_outside_or_given_twice_is_copied() -> None:
    e = emitter()
    inner = Emitter(e.network, e)
    made = inner.unary("Exp", e.network.tensors["h"])
    body = close(inner, [], [made, e.network.tensors["h"], made])
    names = [t.name for t in body.outputs]
    assert names[0] == made.name
    assert len(set(names)) == 3
    assert [node.op for node in body.nodes] == ["Exp", "Identity", "Identity"]


def test_needed_follows_what_bodies_read() -> None:
    e = emitter()
    nodes = e.network.graph.nodes
    assert [node.op for node in needed(nodes, {"y"})] == ["Exp", "If"]
    assert [node.op for node in needed(nodes, {"h"})] == ["Exp"]
    assert needed(nodes, set()) == []


def test_a_node_is_written_with_its_bodies_and_without_their_weights() -> None:
    e = emitter()
    node = next(n for n in e.network.graph.nodes if n.op == "If")
    written = node_proto(node)
    assert list(written.input) == ["b"]
    graphs = {a.name: a.g for a in written.attribute}
    assert [n.op_type for n in graphs["then_branch"].node] == ["Mul", "Add"]
    assert not graphs["then_branch"].initializer
    kind = graphs["then_branch"].output[0].type.tensor_type
    assert kind.elem_type == onnx.TensorProto.FLOAT
    assert [d.dim_value for d in kind.shape.dim] == [2, 3]


def test_a_body_inside_a_body_is_renamed_too() -> None:
    e = emitter(
        """
        g (float[2] x, bool b) => (float[2] y) {
          y = If (b) <
            then_branch = yes () => (float[2] r) {
              a = Exp(x)
              r = If (b) <
                then_branch = yes2 () => (float[2] s) { c = Sin(a) s = Mul(c, x) },
                else_branch = no2 () => (float[2] s) { s = Identity(a) }
              >
            },
            else_branch = no () => (float[2] r) { r = Identity(x) }
          >
        }
        """
    )
    inner = enter(e, branch(e, "then_branch"))
    exp, choice = inner.nodes
    nested = choice.attrs["then_branch"]
    assert nested.nodes[0].inputs[0].name == exp.outputs[0].name
    assert nested.nodes[1].inputs[1].name == "x"
    assert nested.outputs[0].name.startswith("onnxcam/")
