"""Matrix products with what surrounds them."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.contrib.fused_activation import activated
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe
from onnxcam.graph.protos import MICROSOFT


@lowering("FusedMatMul", "TransposeMatMul", wrt=(0, 1), domain=MICROSOFT)
def fused_matmul(e: Emitter, node: gs.Node) -> gs.Tensor:
    """alpha A' B'. With `transBatch` an operand's rows come before its batch axes."""
    a, b = (_turned(e, node, i) for i in (0, 1))
    y = e.op("MatMul", a, b, shape=list(node.outputs[0].shape))
    alpha = node.attrs.get("alpha", 1.0)
    return y if alpha == 1 else e.mul(y, float(alpha))


def _turned(e: Emitter, node: gs.Node, i: int) -> gs.Tensor:
    x, which = node.inputs[i], "AB"[i]
    rank = len(x.shape)
    if rank == 1:
        return x
    order = list(range(rank))
    if node.attrs.get(f"transBatch{which}", 0):
        order = [*order[1:-1], order[0], order[-1]]
    if node.attrs.get(f"trans{which}", 0):
        order[-2:] = order[:-3:-1]
    return e.transpose(x, order)


@lowering("FusedGemm", wrt=(0, 1, 2), domain=MICROSOFT)
def fused_gemm(e: Emitter, node: gs.Node) -> gs.Tensor:
    """activation(alpha A' B' + beta C)."""
    inputs = [t for t in node.inputs if t.name]
    names = ("alpha", "beta", "transA", "transB")
    attrs = {name: node.attrs[name] for name in names if name in node.attrs}
    y = e.op("Gemm", *inputs, shape=list(node.outputs[0].shape), **attrs)
    own = (node.attrs.get(f"activation_{name}") for name in ("alpha", "beta", "gamma"))
    name = node.attrs.get("activation", "")
    if name == "Selu":
        own = (node.attrs.get(f"activation_{name}") for name in ("alpha", "gamma"))
    return activated(e, y, name, [value for value in own if value is not None], describe(node))
