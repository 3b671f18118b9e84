"""The steps between real numbers and the integers that stand for them.

Rounding has no derivative but zero, so it counts as the identity (the *straight-through
estimator*, Bengio et al. 2013, arXiv:1308.3432): an integer tensor is differentiated as the real
number q = x / scale + zero_point before it was rounded. Saturation is kept: where a value was cut
off at the end of the integers' range nothing flows, which is how a quantiser absorbs a ReLU.
"""

from __future__ import annotations

from collections.abc import Iterable

import ml_dtypes
import numpy as np
import onnx_graphsurgeon as gs
from onnx import helper

from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.autodiff.lowering import Lowering, lowering
from onnxcam.autodiff.registry import OWN, derivative_of, vjp
from onnxcam.autodiff.walk import pull_back
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given, producer
from onnxcam.graph.protos import MICROSOFT

_SATURATE = "Saturate"


def limits(dtype: np.dtype) -> tuple[float, float]:
    """Smallest and largest value of an integer or float8 type."""
    if dtype.kind in "iu" or dtype.name.lstrip("u").startswith("int"):
        info = ml_dtypes.iinfo(dtype)
        return float(info.min), float(info.max)
    largest = float(ml_dtypes.finfo(dtype).max)
    return -largest, largest


def dequantized(
    e: Emitter,
    q: gs.Tensor,
    scale: gs.Tensor,
    zero_point: gs.Tensor | None,
    axis: int | None = None,
) -> gs.Tensor:
    """(q - zero_point) scale in float32; parameters that are vectors go along the axis."""
    x = e.cast(q, np.float32)
    if zero_point is not None:
        x = e.sub(x, along(e, zero_point, len(q.shape), axis))
    return e.mul(x, along(e, scale, len(q.shape), axis))


def quantized(
    e: Emitter,
    x: gs.Tensor,
    scale: gs.Tensor,
    zero_point: gs.Tensor | None,
    axis: int | None = None,
    dtype: np.dtype | None = None,
) -> gs.Tensor:
    """x / scale + zero_point, cut off where it would round to something out of range.

    The range is that of the zero point's type, unless `dtype` is given.
    """
    q = _scaled(e, x, scale, zero_point, axis)
    low, high = limits(dtype or _type_of(zero_point))
    bounds = (e.constant(bound, q.dtype) for bound in (low - 0.5, high + 0.5))
    return e.op("Clip", q, *bounds, shape=list(q.shape))


def requantized(
    e: Emitter, x: gs.Tensor, scale: gs.Tensor, zero_point: gs.Tensor | None
) -> gs.Tensor:
    """The same, but whether a value was cut off is read off the stored integers.

    That saves computing x again, and costs what rounded to the end of the range from inside.
    """
    q = _scaled(e, x, scale, zero_point, None)
    low, high = limits(_type_of(zero_point))
    made = e.op(_SATURATE, q, shape=list(q.shape), low=low, high=high)
    made.inputs[0].domain = OWN
    return made


def _type_of(zero_point: gs.Tensor | None) -> np.dtype:
    return np.dtype(np.uint8) if zero_point is None else zero_point.dtype


def _scaled(
    e: Emitter, x: gs.Tensor, scale: gs.Tensor, zero_point: gs.Tensor | None, axis: int | None
) -> gs.Tensor:
    q = e.div(x, along(e, scale, len(x.shape), axis))
    return q if zero_point is None else e.add(q, along(e, zero_point, len(x.shape), axis))


def along(e: Emitter, parameter: gs.Tensor, rank: int, axis: int | None) -> gs.Tensor:
    """A parameter in float32 that broadcasts with a tensor of that rank.

    It holds one number, or a vector along the axis, or is of that rank already.
    """
    value = e.cast(parameter, np.float32)
    if list(value.shape) == [1]:
        return e.reshape(value, [])
    if axis is None or len(value.shape) != 1:
        return value
    return e.unsqueeze(value, range(1, rank - axis % rank))


def _in_full(e: Emitter, parameter: gs.Tensor | None, node: gs.Node) -> gs.Tensor | None:
    """A parameter of (De)QuantizeLinear with a number a block (opset 21), repeated to x's shape."""
    x, block = node.inputs[0], node.attrs.get("block_size", 0)
    if parameter is None or not block:
        return parameter
    rank = len(x.shape)
    at = node.attrs.get("axis", 1) % rank
    value = e.cast(parameter, np.float32)
    ones = np.ones([block if k == at + 1 else 1 for k in range(rank + 1)], dtype=np.float32)
    repeated = e.mul(e.unsqueeze(value, [at + 1]), e.constant(ones))
    count = value.shape[at]
    dims = list(value.shape)
    dims[at] = count * block if isinstance(count, int) else None
    sizes = [e.dim(value, k - rank) for k in range(rank)]
    sizes[at] = e.mul(sizes[at], block)
    length = x.shape[at]
    whole = e.reshape(repeated, dims, sizes)
    return e.slice(whole, at - rank, 0, length) if isinstance(length, int) else whole


def without_stand_ins(nodes: Iterable[gs.Node]) -> list[gs.Node]:
    """The nodes with the `Clip` that each `Saturate` stands for."""
    return [_as_clip(node) if node.domain == OWN else node for node in nodes]


def _as_clip(node: gs.Node) -> gs.Node:
    bounds = [
        gs.Constant(f"{node.name}_{key}", np.array(node.attrs[key], np.float32))
        for key in ("low", "high")
    ]
    return gs.Node("Clip", node.name, inputs=[*node.inputs, *bounds], outputs=list(node.outputs))


def before_saturation(e: Emitter, q: gs.Tensor, dq: Cotangent) -> dict[str, Cotangent]:
    """Cotangents of what a quantised operator reads, given that of what it stores, as if nothing
    in it was cut off: the best of quantised scores is the one that saturates first."""
    node = producer(q)
    if node is None or not isinstance(derivative := derivative_of(node), Lowering):
        return {q.name: dq}
    body = derivative.body(e, node)
    last = next(each for each in body if any(t.name == q.name for t in each.outputs))
    read = [x for i, x in enumerate(node.inputs) if derivative.covers(i)]
    sources = [x.name for x in read if x.name in e.network.varying]
    return pull_back(e, body, {last.inputs[0].name: dq}, sources)


@vjp(_SATURATE, domain=OWN)
def saturate(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    y = node.outputs[0]
    inside = e.logical_and(e.greater(y, node.attrs["low"]), e.less(y, node.attrs["high"]))
    return e.where(inside, dy, 0)


for _domain in ("", MICROSOFT):

    @lowering("DequantizeLinear", wrt=(0, 1), domain=_domain)
    def dequantize_linear(e: Emitter, node: gs.Node) -> gs.Tensor:
        """y = (q - zero_point) scale."""
        q, scale = node.inputs[:2]
        zero_point = given(node, 2)
        axis = node.attrs.get("axis", 1)
        return dequantized(e, q, _in_full(e, scale, node), _in_full(e, zero_point, node), axis)

    @lowering("QuantizeLinear", wrt=(0, 1), domain=_domain, quantizing=True)
    def quantize_linear(e: Emitter, node: gs.Node) -> gs.Tensor:
        """q = x / scale + zero_point, where it is within the range of the integers."""
        x, scale = node.inputs[:2]
        axis, zero_point = node.attrs.get("axis", 1), given(node, 2)
        named = node.attrs.get("output_dtype", 0) if zero_point is None else 0
        dtype = helper.tensor_dtype_to_np_dtype(named) if named else _type_of(zero_point)
        scale, zero_point = _in_full(e, scale, node), _in_full(e, zero_point, node)
        return quantized(e, x, scale, zero_point, axis, dtype)


@lowering("DynamicQuantizeLinear", outputs=(0,), quantizing=True)
def dynamic_quantize_linear(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """q = x / scale + zero_point, with a scale that fits the range, so that nothing is cut off.

    The scale counts as a constant: through q and through what multiplies by the scale again its
    derivative cancels.
    """
    x, (_, scale, zero_point) = node.inputs[0], node.outputs
    return [_scaled(e, x, scale, zero_point, None), None, None]
