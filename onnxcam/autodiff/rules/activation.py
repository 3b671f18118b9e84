"""Activations and other functions of one variable: dx = dy f'(x)."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import unbroadcast
from onnxcam.autodiff.registry import elementwise, vjp
from onnxcam.autodiff.rules.steps import made_by_convolution, ramp, read_by_convolution, step
from onnxcam.autodiff.sums import times
from onnxcam.graph.emitter import Emitter, Operand


@vjp("Relu")
def relu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    # The output's sign is the input's: reading y lets the runtime fuse Relu into what made x.
    y = node.outputs[0]
    if read_by_convolution(y):
        return times(e, dy, step(e, y))
    return e.where(e.greater(y, 0), dy, 0)


@vjp("ThresholdedRelu")
def thresholded_relu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.where(e.greater(node.inputs[0], node.attrs.get("alpha", 1.0)), dy, 0)


def _scaled_below_zero(e: Emitter, x: gs.Tensor, dy: gs.Tensor, slope: Operand) -> gs.Tensor:
    return e.where(e.less(x, 0), e.mul(dy, slope), dy)


@vjp("LeakyRelu")
def leaky_relu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return _scaled_below_zero(e, node.inputs[0], dy, node.attrs.get("alpha", 0.01))


@elementwise("PRelu", wrt=(0, 1))
def prelu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, slope = node.inputs
    if i == 0:
        return _scaled_below_zero(e, x, dy, slope)
    return e.where(e.less(x, 0), e.mul(dy, x), 0)


@vjp("Elu", "Celu", "Selu")
def elu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Below zero f' = gamma alpha exp(x / c), above it gamma (c = alpha for Celu, else 1)."""
    (x,) = node.inputs
    selu = node.op == "Selu"
    alpha = node.attrs.get("alpha", 1.67326319217681884765625 if selu else 1.0)
    gamma = node.attrs.get("gamma", 1.05070102214813232421875) if selu else 1.0
    exponent = e.div(x, alpha) if node.op == "Celu" else x
    slope = 1.0 if node.op == "Celu" else alpha
    below = e.mul(e.unary("Exp", e.where(e.less(x, 0), exponent, 0)), gamma * slope)
    return e.mul(dy, e.where(e.less(x, 0), below, gamma))


@vjp("Sigmoid")
def sigmoid(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    y = node.outputs[0]
    rest = ramp(e, y, -1, 1) if made_by_convolution(node.inputs[0]) else e.sub(1, y)
    return times(e, times(e, dy, y), rest)


@vjp("Tanh")
def tanh(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    y = node.outputs[0]
    return times(e, dy, e.sub(1, e.mul(y, y)))


@vjp("HardSigmoid")
def hard_sigmoid(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    alpha = node.attrs.get("alpha", 0.2)
    y = node.outputs[0]
    return e.where(e.less(e.mul(y, y), y), e.mul(dy, alpha), 0)


@vjp("HardSwish")
def hard_swish(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """f(x) = x max(0, min(1, x/6 + 1/2)): 0 up to -3, (2x + 3) / 6 between, 1 from 3 on."""
    (x,) = node.inputs
    if made_by_convolution(x):  # r + x r' of the ramp r in f(x) = x r(x)
        inside = ramp(e, e.mul(x, x), -(2**20), 9 * 2**20)  # float32 near 9 are 2^-20 apart
        slope = e.mul(x, ramp(e, inside, 1 / 6))
        return times(e, dy, e.add(ramp(e, x, 1 / 6, 0.5), slope))
    slope = e.add(e.mul(x, 1 / 3), 0.5)
    above = e.where(e.less(x, 3), slope, 1)
    return e.mul(dy, e.where(e.greater(x, -3), above, 0))


@vjp("Clip", wrt=(0, 1, 2))
def clip(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """min(max(x, low), high): to what each value comes from; on a bound to x, as in PyTorch.

    From 0 to 6 it is a ReLU6, which on its bounds passes nothing on.
    """
    x, *bounds = node.inputs
    low, high = (_bound(e, t) for t in (*bounds, None, None)[:2])
    numbers = isinstance(low, float) and isinstance(high, float)
    if i == 0 and numbers and (low, high) == (0, 6):
        return _relu6(e, node.outputs[0], dy)
    if i == 0:
        if low is not None:
            dy = e.where(e.less(x, low), 0, dy)
        return dy if high is None else e.where(e.greater(x, high), 0, dy)
    bound = node.inputs[i]
    if i == 1:
        cut = e.less(x, bound)
        cut = cut if high is None else e.logical_and(cut, e.less(bound, high))
    else:
        raised = x if low is None else e.where(e.less(x, low), low, x)
        cut = e.greater(raised, bound)
    return unbroadcast(e, e.where(cut, dy, 0), bound, x)


def _relu6(e: Emitter, y: gs.Tensor, dy: gs.Tensor) -> gs.Tensor:
    # As with Relu, y shows where x is within the bounds, and x itself need not be kept.
    if read_by_convolution(y):
        below = ramp(e, y, -(2**24), 6 * 2**24)  # float32 near 6 are no less than 2^-22 apart
        return times(e, dy, e.mul(step(e, y), below))
    return e.where(e.logical_and(e.greater(y, 0), e.less(y, 6)), dy, 0)


def _bound(e: Emitter, bound: gs.Tensor | None) -> Operand | None:
    """A bound as a number where it is known; one that is left out or infinite is none."""
    if bound is None or not bound.name:
        return None
    value = e.network.value(bound)
    if value is None:
        return bound
    limit = float(np.finfo(np.float32).max)
    return None if abs(float(value)) >= limit else float(value)


@vjp("Gelu")
def gelu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Phi(x) + x phi(x), or the derivative of the tanh approximation (opset 20)."""
    (x,) = node.inputs
    if node.attrs.get("approximate", "none") == "tanh":
        scale = math.sqrt(2 / math.pi)
        square = e.mul(x, x)
        t = e.unary("Tanh", e.mul(e.mul(x, scale), e.add(e.mul(square, 0.044715), 1)))
        inner = e.add(e.mul(square, 3 * 0.044715 * scale), scale)
        bend = e.mul(e.mul(x, e.sub(1, e.mul(t, t))), inner)
        return e.mul(dy, e.mul(e.add(e.add(t, 1), bend), 0.5))
    u = e.mul(x, math.sqrt(0.5))
    exponent = e.sub(math.log(math.sqrt(2 / math.pi)), e.mul(u, u))
    twice = e.add(e.add(e.unary("Erf", u), 1), e.mul(x, e.unary("Exp", exponent)))
    return times(e, e.mul(dy, 0.5), twice)  # a matrix product behind dy takes the factor up


@vjp("Swish")
def swish(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = x s with s = sigmoid(alpha x): f' = s + alpha y (1 - s) (opset 24)."""
    alpha = node.attrs.get("alpha", 1.0)
    s = e.unary("Sigmoid", e.mul(node.inputs[0], alpha))
    return e.mul(dy, e.add(s, e.mul(e.mul(node.outputs[0], alpha), e.sub(1, s))))


@vjp("Mish")
def mish(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = x t with t = tanh(softplus(x)): f' = t + x (1 - t^2) sigmoid(x)."""
    (x,) = node.inputs
    t = e.unary("Tanh", e.unary("Softplus", x))
    bend = e.mul(e.mul(x, e.sub(1, e.mul(t, t))), e.unary("Sigmoid", x))
    return e.mul(dy, e.add(t, bend))


@vjp("Softplus")
def softplus(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return times(e, dy, e.unary("Sigmoid", node.inputs[0]))


@vjp("Softsign")
def softsign(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    root = e.add(e.unary("Abs", node.inputs[0]), 1)
    return e.div(dy, e.mul(root, root))


@vjp("Erf")
def erf(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    (x,) = node.inputs
    bell = e.unary("Exp", e.unary("Neg", e.mul(x, x)))
    return times(e, dy, e.mul(bell, 2 / math.sqrt(math.pi)))


@vjp("Exp")
def exp(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(dy, node.outputs[0])


@vjp("Log")
def log(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.div(dy, node.inputs[0])


@vjp("Sqrt")
def sqrt(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.div(dy, e.mul(node.outputs[0], 2))


@vjp("Reciprocal")
def reciprocal(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    y = node.outputs[0]
    return e.unary("Neg", e.mul(dy, e.mul(y, y)))


@vjp("Neg")
def neg(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.unary("Neg", dy)


@vjp("Abs")
def abs_(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(dy, e.unary("Sign", node.inputs[0]))


@vjp("Shrink")
def shrink(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """x moved towards zero by `bias`, and 0 within `lambd` of it."""
    outside = e.greater(e.unary("Abs", node.inputs[0]), node.attrs.get("lambd", 0.5))
    return e.where(outside, dy, 0)
