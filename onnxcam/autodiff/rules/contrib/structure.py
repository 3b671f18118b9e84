"""Operators that ONNX Runtime had before the standard did, and a few of its own."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.registry import refuse, vjp, zero
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe
from onnxcam.graph.protos import MICROSOFT

refuse(
    "a masked value also hides those behind it in its row of the window",
    "MaxpoolWithMask",
    domain=MICROSOFT,
)
refuse("which values it keeps is known to the run only", "Unique", domain=MICROSOFT)
zero("its inputs and outputs are tokens", "BifurcationDetector", domain=MICROSOFT)


@vjp("Trilu", domain=MICROSOFT)
def trilu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The same triangle of dy."""
    dy = full(e, dy, node.outputs[0], [-2, -1])
    made = e.op("Trilu", dy, *node.inputs[1:], shape=list(dy.shape), **node.attrs)
    made.inputs[0].domain = MICROSOFT
    return made


@vjp("Inverse", domain=MICROSOFT)
def inverse(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Y = X^-1: dX = -Y^T dY Y^T."""
    y = node.outputs[0]
    turned = e.transpose(y, (1, 0))
    dx = e.matmul(e.matmul(turned, full(e, dy, y, [-2, -1])), turned)
    return e.unary("Neg", dx)


@lowering("ExpandDims", wrt=(0,), domain=MICROSOFT)
def expand_dims(e: Emitter, node: gs.Node) -> gs.Tensor:
    x, y = node.inputs[0], node.outputs[0]
    axis = e.network.value(node.inputs[1])
    assert axis is not None  # else the output's shape would not be known
    return e.unsqueeze(x, [int(axis.ravel()[0]) % len(y.shape)])


@lowering("Pad", wrt=(0,), domain=MICROSOFT)
def pad(e: Emitter, node: gs.Node) -> gs.Tensor:
    inputs = [t for t in node.inputs if t.name]
    return e.op("Pad", *inputs, shape=list(node.outputs[0].shape), **node.attrs)


@lowering("GridSample", wrt=(0, 1), domain=MICROSOFT)
def grid_sample(e: Emitter, node: gs.Node) -> gs.Tensor:
    return e.op("GridSample", *node.inputs, shape=list(node.outputs[0].shape), **node.attrs)


@lowering("GatherND", wrt=(0,), domain=MICROSOFT)
def gather_nd(e: Emitter, node: gs.Node) -> gs.Tensor:
    data, indices = node.inputs
    indices = e.cast(indices, np.int64)
    return e.op("GatherND", data, indices, shape=list(node.outputs[0].shape))


@lowering("CDist", wrt=(0, 1), domain=MICROSOFT)
def cdist(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Distance of every row of A to every row of B, or its square."""
    a, b = node.inputs
    apart = e.sub(e.unsqueeze(a, [1]), e.unsqueeze(b, [0]))
    square = e.reduce("ReduceSum", e.mul(apart, apart), [-1], keepdims=False)
    return e.unary("Sqrt", square) if node.attrs.get("metric") == "euclidean" else square


@lowering("UnfoldTensor", wrt=(0,), domain=MICROSOFT)
def unfold(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Windows along an axis, their inside as a new last axis."""
    x, attrs = node.inputs[0], node.attrs
    rank = len(x.shape)
    axis = attrs.get("dim", -1) % rank
    count, step = node.outputs[0].shape[axis], attrs.get("step", 1)
    if not isinstance(count, int):
        raise UnsupportedOperatorError(
            f"{describe(node)} along a length that only the run knows has no derivative here; "
            f"fix the model's input size"
        )
    parts = [
        e.unsqueeze(e.slice(x, axis - rank, k, k + (count - 1) * step + 1, step), [-1])
        for k in range(attrs["size"])
    ]
    return e.concat(parts, -1)
