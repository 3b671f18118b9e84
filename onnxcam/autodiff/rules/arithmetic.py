"""Arithmetic, element by element, with NumPy broadcasting."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import OneHot, unbroadcast
from onnxcam.autodiff.registry import elementwise, vjp
from onnxcam.autodiff.sums import times
from onnxcam.graph.emitter import Emitter


@vjp("Add", wrt=(0, 1), takes_one_hot=True)
def add(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor | OneHot) -> gs.Tensor | OneHot:
    x, y = node.inputs[i], node.outputs[0]
    if isinstance(dy, OneHot):
        if list(x.shape) == list(y.shape):  # a bias is added: the score's cotangent is untouched
            return dy
        dy = dy.dense(e)
    return unbroadcast(e, dy, x, y)


@elementwise("Sum", wrt=None)
def sum_(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return dy


@elementwise("Mean", wrt=None)
def mean(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(dy, 1 / len(node.inputs))


@elementwise("Sub", wrt=(0, 1))
def sub(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return dy if i == 0 else e.unary("Neg", dy)


@elementwise("Mul", wrt=(0, 1))
def mul(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return times(e, dy, node.inputs[1 - i])


@elementwise("Div", wrt=(0, 1))
def div(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = a / b: dy / b, and -dy y / b."""
    quotient = e.div(dy, node.inputs[1])
    return quotient if i == 0 else e.unary("Neg", e.mul(quotient, node.outputs[0]))


@elementwise("Pow", wrt=(0, 1))
def pow_(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = a^b: dy b a^(b-1), and dy y log a (0 where a is 0, whose logarithm is not used)."""
    a, b = node.inputs
    if i == 0:
        power = e.network.value(b)
        if power is not None and power.size == 1 and power.ravel()[0] == 2:
            return e.mul(dy, e.mul(a, 2))
        exponent = e.cast(b, a.dtype)
        lowered = e.pow(a, e.sub(exponent, 1))
        if power is None or (power == 0).any():  # 0 a^-1 is not a number where a is 0
            lowered = e.where(e.equal(exponent, 0), 0, lowered)
        return e.mul(dy, e.mul(exponent, lowered))
    positive = e.greater(a, 0)
    log = e.where(positive, e.unary("Log", e.where(positive, a, 1)), 0)
    return e.mul(dy, e.mul(node.outputs[0], log))


@elementwise("Max", "Min", wrt=None)
def max_min(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The operand that is the extreme takes it all; of equal ones, the first."""
    x, y = node.inputs[i], node.outputs[0]
    chosen = e.equal(x, y)
    for earlier in node.inputs[:i]:
        chosen = e.logical_and(chosen, e.unary("Not", e.equal(earlier, y)))
    return e.where(chosen, dy, 0)


@elementwise("Where", wrt=(1, 2))
def where(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    condition = node.inputs[0]
    return e.where(condition, dy, 0) if i == 1 else e.where(condition, 0, dy)


@elementwise("Mod")
def mod(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The dividend moves the remainder one for one between jumps."""
    return dy
