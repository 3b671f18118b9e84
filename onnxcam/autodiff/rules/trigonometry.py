"""Circular and hyperbolic functions and their inverses: dx = dy f'(x)."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.registry import vjp
from onnxcam.graph.emitter import Emitter


@vjp("Sin")
def sin(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(dy, e.unary("Cos", node.inputs[0]))


@vjp("Cos")
def cos(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.unary("Neg", e.mul(dy, e.unary("Sin", node.inputs[0])))


@vjp("Tan")
def tan(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(dy, e.add(_square(e, node.outputs[0]), 1))


@vjp("Sinh", "Cosh")
def sinh_cosh(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Each is the other's derivative."""
    other = "Cosh" if node.op == "Sinh" else "Sinh"
    return e.mul(dy, e.unary(other, node.inputs[0]))


@vjp("Asin", "Acos")
def asin_acos(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """1 / sqrt(1 - x^2), and its negative."""
    slope = e.div(dy, e.unary("Sqrt", e.sub(1, _square(e, node.inputs[0]))))
    return slope if node.op == "Asin" else e.unary("Neg", slope)


@vjp("Atan")
def atan(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.div(dy, e.add(_square(e, node.inputs[0]), 1))


@vjp("Asinh", "Acosh")
def asinh_acosh(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """1 / sqrt(x^2 + 1), and 1 / sqrt(x^2 - 1)."""
    square = e.add(_square(e, node.inputs[0]), 1 if node.op == "Asinh" else -1)
    return e.div(dy, e.unary("Sqrt", square))


@vjp("Atanh")
def atanh(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.div(dy, e.sub(1, _square(e, node.inputs[0])))


def _square(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    return e.mul(x, x)
