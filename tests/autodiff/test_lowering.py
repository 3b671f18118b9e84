"""Operators lowered to others: differentiated through what is emitted, which is then dropped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import graph_model, session_of
from autodiff.programs import check_cotangents, check_gradients, parsed, program
from onnx import helper

from onnxcam.autodiff import registry
from onnxcam.autodiff.lowering import Lowering, lowering
from onnxcam.autodiff.registry import derivative_of
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

X = np.array([[0.5, -1.0, 2.0], [1.5, -0.3, 0.7]], dtype=np.float32)


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """What a test registers is taken back."""
    before = dict(registry._DERIVATIVES)
    yield
    registry._DERIVATIVES.clear()
    registry._DERIVATIVES.update(before)


def one_node(op: str, inputs: str = "x", outputs: str = "y", **attrs: object):
    node = helper.make_node(op, inputs.split(), outputs.split(), **attrs)
    names = dict.fromkeys(name for name in inputs.split())
    return graph_model([node], {name: [2, 3] for name in names}, outputs.split())


def gradient(model, *names: str, **feeds: np.ndarray) -> list[np.ndarray]:
    rewritten = append_gradients(model, of="y", wrt=names)
    return session_of(rewritten).run([f"{name}_grad" for name in names], feeds)


def test_the_derivative_is_that_of_the_parts() -> None:
    @lowering("Softsign")
    def lowered(e: Emitter, node: gs.Node) -> gs.Tensor:
        (x,) = node.inputs
        return e.div(x, e.add(e.unary("Abs", x), 1))

    (dx,) = gradient(one_node("Softsign"), "x", x=X)
    np.testing.assert_allclose(dx, 1 / (1 + np.abs(X)) ** 2, rtol=1e-5)


def test_nothing_is_computed_twice() -> None:
    """The last tensor is the node's own output, and what no derivative reads is dropped."""

    @lowering("Softplus")
    def lowered(e: Emitter, node: gs.Node) -> gs.Tensor:
        return e.unary("Exp", e.unary("Sin", node.inputs[0]))  # something else, to be told apart

    model = append_gradients(one_node("Softplus"), of="y", wrt=["x"])
    ops = [node.op_type for node in model.graph.node]
    assert "Exp" not in ops  # its derivative is the output, which is there
    assert "Sin" not in ops  # nor does the derivative of Sin read Sin
    assert "Cos" in ops
    (dx,) = session_of(model).run(["x_grad"], {"x": X})
    np.testing.assert_allclose(dx, np.log1p(np.exp(X)) * np.cos(X), rtol=1e-5)


def test_a_tensor_read_twice_gets_one_cotangent_for_both() -> None:
    @lowering("Mul")
    def lowered(e: Emitter, node: gs.Node) -> gs.Tensor:
        a, b = node.inputs
        return e.unary("Exp", e.add(e.unary("Log", a), e.unary("Log", b)))

    x = np.abs(X)
    (dx,) = gradient(one_node("Mul", "x x"), "x", x=x)
    np.testing.assert_allclose(dx, 2 * x, rtol=1e-5)
    da, db = gradient(one_node("Mul", "a b"), "a", "b", a=x, b=2 * x)
    np.testing.assert_allclose(da, 2 * x, rtol=1e-5)
    np.testing.assert_allclose(db, x, rtol=1e-5)


def test_several_outputs_of_which_one_is_never_differentiated() -> None:
    @lowering("TopK", wrt=(0,), outputs=(0,))
    def lowered(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
        x, (values, index) = node.inputs[0], node.outputs
        picked = e.op("GatherElements", x, index, shape=list(values.shape), axis=1)
        return [picked, None]

    node = helper.make_node("TopK", ["x", "k"], ["y", "i"], axis=1)
    model = graph_model([node], {"x": [2, 3]}, ["y"], {"k": np.array([2])})
    (dx,) = gradient(model, "x", x=X)
    np.testing.assert_array_equal(dx, [[1, 0, 1], [1, 0, 1]])


def test_inputs_that_are_not_covered_are_refused() -> None:
    @lowering("Pow", wrt=(0,))
    def lowered(e: Emitter, node: gs.Node) -> gs.Tensor:
        a, b = node.inputs
        return e.unary("Exp", e.mul(e.unary("Log", a), b))

    model = one_node("Pow", "a b")
    (da,) = gradient(model, "a", a=np.abs(X), b=X)
    np.testing.assert_allclose(da, X * np.abs(X) ** (X - 1), rtol=1e-4)
    with pytest.raises(UnsupportedOperatorError, match="Pow"):
        append_gradients(model, of="y", wrt=["b"])


def test_an_operator_may_be_lowered_to_others_that_are_lowered() -> None:
    @lowering("Softsign")
    def outer(e: Emitter, node: gs.Node) -> gs.Tensor:
        return e.unary("Mish", e.unary("Softplus", node.inputs[0]))

    @lowering("Softplus")
    def inner(e: Emitter, node: gs.Node) -> gs.Tensor:
        return e.mul(node.inputs[0], node.inputs[0])

    @lowering("Mish")
    def last(e: Emitter, node: gs.Node) -> gs.Tensor:
        return e.mul(node.inputs[0], 3)

    (dx,) = gradient(one_node("Softsign"), "x", x=X)
    np.testing.assert_allclose(dx, 6 * X, rtol=1e-5)


def test_the_body_ends_in_the_nodes_own_outputs() -> None:
    e = Emitter(Network(one_node("Softsign")))

    @lowering("Softsign")
    def lowered(e: Emitter, node: gs.Node) -> gs.Tensor:
        return e.unary("Exp", e.unary("Sin", node.inputs[0]))

    (node,) = e.network.graph.nodes
    derivative = derivative_of(node)
    assert isinstance(derivative, Lowering)
    body = derivative.body(e, node)
    assert [each.op for each in body] == ["Sin", "Exp"]
    assert body[0].inputs[0].name == "x"
    assert body[-1].outputs[0].name == "y"
    assert all(each.outputs[0].name != "y" for each in e.nodes)  # those emitted are as they were


def test_in_half_precision_a_lowering_sees_float32() -> None:
    seen = []

    @lowering("Softsign")
    def lowered(e: Emitter, node: gs.Node) -> gs.Tensor:
        seen.extend(t.dtype for t in (*node.inputs, *node.outputs))
        return e.unary("Tanh", node.inputs[0])

    append_gradients(
        parsed("g (float16[2,3] x) => (float16[2,3] y) { y = Softsign(x) }"), "y", ["x"]
    )
    assert seen == [np.float32, np.float32]


def test_a_lowering_to_a_scan_inside_a_branch() -> None:
    p = program(
        """
        g (float[2,2,3] x, float[1,2,3] w, float[1,2,2] r, bool b) => (float[2,1,2,2] y) {
          y = If (b) <
            then_branch = yes () => (float[2,1,2,2] a) { a = RNN<hidden_size = 2>(x, w, r) },
            else_branch = no () => (float[2,1,2,2] a) {
              c = RNN<hidden_size = 2>(x, w, r)
              a = Exp(c)
            }
          >
        }
        """,
        b=False,
        opset=14,
    )
    check_gradients(p, tolerance=1e-3)
    check_cotangents(p)
