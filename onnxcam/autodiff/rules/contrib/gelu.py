"""Activations that runtimes fuse from several operators, with the additions in front of them."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given
from onnxcam.graph.protos import MICROSOFT


def _gelu(e: Emitter, x: gs.Tensor, approximate: str = "none") -> gs.Tensor:
    # Standard from opset 20 on; here only its derivative is emitted, which is older.
    return e.unary("Gelu", x, approximate=approximate)


@lowering("Gelu", wrt=(0,), domain=MICROSOFT)
def gelu(e: Emitter, node: gs.Node) -> gs.Tensor:
    return _gelu(e, node.inputs[0])


@lowering("BiasGelu", wrt=(0, 1), domain=MICROSOFT)
def bias_gelu(e: Emitter, node: gs.Node) -> gs.Tensor:
    return _gelu(e, e.add(*node.inputs))


@lowering("FastGelu", wrt=(0, 1), domain=MICROSOFT)
def fast_gelu(e: Emitter, node: gs.Node) -> gs.Tensor:
    x, bias = node.inputs[0], given(node, 1)
    return _gelu(e, x if bias is None else e.add(x, bias), "tanh")


@lowering("BiasSplitGelu", wrt=(0, 1), domain=MICROSOFT)
def bias_split_gelu(e: Emitter, node: gs.Node) -> gs.Tensor:
    """a gelu(b), a and b the halves of X + bias."""
    x = e.add(*node.inputs)
    half = x.shape[-1] // 2
    return e.mul(e.slice(x, -1, 0, half), _gelu(e, e.slice(x, -1, half, 2 * half)))


@lowering("QuickGelu", wrt=(0,), domain=MICROSOFT)
def quick_gelu(e: Emitter, node: gs.Node) -> gs.Tensor:
    """x sigmoid(alpha x)."""
    x, alpha = node.inputs[0], float(node.attrs.get("alpha", 1.702))
    return e.mul(x, e.unary("Sigmoid", x if alpha == 1 else e.mul(x, alpha)))


@lowering("BiasAdd", wrt=(0, 1, 2), domain=MICROSOFT)
def bias_add(e: Emitter, node: gs.Node) -> gs.Tensor:
    x, bias, skip = node.inputs
    return e.add(e.add(x, bias), skip)


@lowering("BiasSoftmax", wrt=(0, 1), domain=MICROSOFT)
def bias_softmax(e: Emitter, node: gs.Node) -> gs.Tensor:
    """softmax(data + bias) over the axes from `axis` on.

    The bias stands for the last axes (inner broadcast) or, its own axis of length 1 between, for
    the first and the last ones, which is NumPy's broadcasting.
    """
    x = e.add(*node.inputs)
    rank = len(x.shape)
    axes = list(range(node.attrs.get("axis", 1) % rank - rank, 0))
    weights = e.unary("Exp", e.sub(x, e.reduce("ReduceMax", x, axes)))
    return e.div(weights, e.reduce("ReduceSum", weights, axes))
