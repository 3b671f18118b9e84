"""Operators that compute with quantised tensors: the real operator between the two steps.

`QLinear*` take integers with their scales and zero points and store integers; `*Integer` leave
the scaling to nodes behind them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.layout import channels_first, channels_first_shape, channels_last
from onnxcam.autodiff.rules.quantization import along, dequantized, quantized, requantized
from onnxcam.autodiff.rules.window import window_attributes
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given
from onnxcam.graph.protos import MICROSOFT


def _operand(e: Emitter, node: gs.Node, i: int, axis: int | None = None) -> gs.Tensor:
    """The real numbers of the quantised operand at inputs i, i + 1 (scale), i + 2 (zero point)."""
    return dequantized(e, node.inputs[i], node.inputs[i + 1], given(node, i + 2), axis)


def _stored(e: Emitter, node: gs.Node, y: gs.Tensor, i: int) -> gs.Tensor:
    """What the operator stores of y, by the scale at input i and the zero point at i + 1."""
    return quantized(e, y, node.inputs[i], given(node, i + 1))


def _product(e: Emitter, node: gs.Node, y: gs.Tensor, i: int) -> gs.Tensor:
    """The same for an operator that costs too much to be computed again."""
    return requantized(e, y, node.inputs[i], given(node, i + 1))


def _channels_first(e: Emitter, x: gs.Tensor, node: gs.Node) -> gs.Tensor:
    return channels_first(e, x) if node.attrs.get("channels_last", 0) else x


def _as_given(e: Emitter, y: gs.Tensor, node: gs.Node) -> gs.Tensor:
    return channels_last(e, y) if node.attrs.get("channels_last", 0) else y


def _output_shape(node: gs.Node) -> Shape:
    """Shape of the node's output, channels first."""
    shape = list(node.outputs[0].shape)
    return channels_first_shape(shape) if node.attrs.get("channels_last", 0) else shape


# -- convolutions and matrix products ---------------------------------------------------------

for _domain in ("", MICROSOFT):

    @lowering("QLinearConv", wrt=(0,), domain=_domain, quantizing=True)
    def qlinear_conv(e: Emitter, node: gs.Node) -> gs.Tensor:
        x = _channels_first(e, _operand(e, node, 0), node)
        inputs = [x, _operand(e, node, 3, 0)]
        bias = given(node, 8)
        if bias is not None:  # int32, in units of both scales
            unit = e.mul(e.cast(node.inputs[1], np.float32), e.cast(node.inputs[4], np.float32))
            inputs.append(e.mul(e.cast(bias, np.float32), unit))
        y = e.op("Conv", *inputs, shape=_output_shape(node), **window_attributes(node))
        return _product(e, node, _as_given(e, y, node), 6)


@lowering("ConvInteger", wrt=(0,), quantizing=True)
def conv_integer(e: Emitter, node: gs.Node) -> gs.Tensor:
    x, w = (
        _shifted(e, node.inputs[i], given(node, i + 2), len(node.inputs[i].shape), axis)
        for i, axis in ((0, None), (1, 0))
    )
    return e.op("Conv", x, w, shape=list(node.outputs[0].shape), **window_attributes(node))


def _shifted(
    e: Emitter, q: gs.Tensor, zero_point: gs.Tensor | None, rank: int, axis: int | None
) -> gs.Tensor:
    x = e.cast(q, np.float32)
    return x if zero_point is None else e.sub(x, along(e, zero_point, rank, axis))


@lowering("QLinearMatMul", wrt=(0, 3), quantizing=True)
def qlinear_matmul(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Scales may be one a row of A and one a column of B."""
    return _product(e, node, e.matmul(_operand(e, node, 0, -2), _operand(e, node, 3, -1)), 6)


@lowering("MatMulInteger", wrt=(0, 1), quantizing=True)
def matmul_integer(e: Emitter, node: gs.Node) -> gs.Tensor:
    a, b = node.inputs[:2]
    return e.matmul(
        _shifted(e, a, given(node, 2), len(a.shape), -2),
        _shifted(e, b, given(node, 3), len(b.shape), -1),
    )


@lowering("MatMulIntegerToFloat", wrt=(0, 1), domain=MICROSOFT)
def matmul_integer_to_float(e: Emitter, node: gs.Node) -> gs.Tensor:
    a, b, a_scale, b_scale = node.inputs[:4]
    x = dequantized(e, a, a_scale, given(node, 4), -2)
    return _with_bias(e, e.matmul(x, dequantized(e, b, b_scale, given(node, 5), -1)), node, 6)


@lowering("DynamicQuantizeMatMul", wrt=(0,), domain=MICROSOFT)
def dynamic_quantize_matmul(e: Emitter, node: gs.Node) -> gs.Tensor:
    """A is quantised inside, by a scale that fits it."""
    a, b, b_scale = node.inputs[:3]
    return _with_bias(e, e.matmul(a, dequantized(e, b, b_scale, given(node, 3), -1)), node, 4)


def _with_bias(e: Emitter, y: gs.Tensor, node: gs.Node, i: int) -> gs.Tensor:
    bias = given(node, i)
    return y if bias is None else e.add(y, bias)


@lowering("QGemm", wrt=(0,), domain=MICROSOFT, quantizing=True)
def qgemm(e: Emitter, node: gs.Node) -> gs.Tensor:
    """alpha A' B' + C, C an int32 in units of both scales; real without an output scale."""
    a, b = _operand(e, node, 0), _operand(e, node, 3, 0 if node.attrs.get("transB", 0) else 1)
    a = e.transpose(a, (1, 0)) if node.attrs.get("transA", 0) else a
    b = e.transpose(b, (1, 0)) if node.attrs.get("transB", 0) else b
    alpha = node.attrs.get("alpha", 1.0)
    y = e.matmul(a, b) if alpha == 1 else e.mul(e.matmul(a, b), alpha)
    bias = given(node, 6)
    if bias is not None:
        unit = e.mul(e.cast(node.inputs[1], np.float32), e.cast(node.inputs[4], np.float32))
        y = e.add(y, e.mul(e.cast(bias, np.float32), e.mul(unit, alpha)))
    return _product(e, node, y, 7) if given(node, 7) is not None else y


# -- element by element -----------------------------------------------------------------------


@lowering("QLinearAdd", wrt=(0, 3), domain=MICROSOFT, quantizing=True)
def qlinear_add(e: Emitter, node: gs.Node) -> gs.Tensor:
    return _stored(e, node, e.add(_operand(e, node, 0), _operand(e, node, 3)), 6)


@lowering("QLinearMul", wrt=(0, 3), domain=MICROSOFT, quantizing=True)
def qlinear_mul(e: Emitter, node: gs.Node) -> gs.Tensor:
    return _stored(e, node, e.mul(_operand(e, node, 0), _operand(e, node, 3)), 6)


@lowering("QLinearWhere", wrt=(1, 4), domain=MICROSOFT, quantizing=True)
def qlinear_where(e: Emitter, node: gs.Node) -> gs.Tensor:
    chosen = e.where(node.inputs[0], _operand(e, node, 1), _operand(e, node, 4))
    return _stored(e, node, chosen, 7)


Real = Callable[[Emitter, gs.Node, gs.Tensor], gs.Tensor]


def _unary(op: str, real: Real) -> None:
    """Register an operator of one operand (inputs 0 to 2) and a stored result (3 and 4)."""

    @lowering(op, wrt=(0,), domain=MICROSOFT, quantizing=True)
    def lowered(e: Emitter, node: gs.Node) -> gs.Tensor:
        return _stored(e, node, real(e, node, _operand(e, node, 0)), 3)


def _leaky_relu(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    return e.unary("LeakyRelu", x, alpha=node.attrs.get("alpha", 0.01))


def _sigmoid(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    return e.unary("Sigmoid", x)


def _softmax(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    """By the rules of the operator set that it was fused from: before 13 over all last axes."""
    rank = len(x.shape)
    axis = node.attrs.get("axis", -1) % rank - rank
    axes = [axis] if node.attrs.get("opset", 13) >= 13 else list(range(axis, 0))
    if axes == [-1]:
        return e.unary("Softmax", x, axis=rank - 1)
    weights = e.unary("Exp", e.sub(x, e.reduce("ReduceMax", x, axes)))
    return e.div(weights, e.reduce("ReduceSum", weights, axes))


def _reduce_mean(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    rank = len(x.shape)
    axes = [axis % rank - rank for axis in node.attrs.get("axes", range(rank))]
    return e.reduce("ReduceMean", x, axes, bool(node.attrs.get("keepdims", 1)))


def _global_average_pool(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    x = _channels_first(e, x, node)
    return _as_given(e, e.reduce("ReduceMean", x, range(2 - len(x.shape), 0)), node)


def _average_pool(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    x = _channels_first(e, x, node)
    y = e.op("AveragePool", x, shape=_output_shape(node), **window_attributes(node))
    return _as_given(e, y, node)


_unary("QLinearLeakyRelu", _leaky_relu)
_unary("QLinearSigmoid", _sigmoid)
_unary("QLinearSoftmax", _softmax)
_unary("QLinearReduceMean", _reduce_mean)
_unary("QLinearGlobalAveragePool", _global_average_pool)
_unary("QLinearAveragePool", _average_pool)


@lowering("QLinearConcat", domain=MICROSOFT, quantizing=True)
def qlinear_concat(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Inputs: the result's scale and zero point, then three an operand."""
    parts = [_operand(e, node, i) for i in range(2, len(node.inputs), 3)]
    rank = len(parts[0].shape)
    return _stored(e, node, e.concat(parts, node.attrs["axis"] % rank - rank), 0)
