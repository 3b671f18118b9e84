"""Softmax and its logarithm."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import sum_over
from onnxcam.autodiff.registry import vjp
from onnxcam.graph.emitter import Emitter


def _axes(e: Emitter, node: gs.Node) -> list[int]:
    """One axis from opset 13 on; before, all axes from `axis` to the last."""
    rank = len(node.outputs[0].shape)
    if e.opset >= 13:
        return [node.attrs.get("axis", -1) % rank - rank]
    return list(range(node.attrs.get("axis", 1) % rank - rank, 0))


@vjp("Softmax")
def softmax(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dx = y (dy - sum(dy y))."""
    y = node.outputs[0]
    total = e.reduce("ReduceSum", e.mul(dy, y), _axes(e, node))
    return e.mul(y, e.sub(dy, total))


@vjp("LogSoftmax")
def log_softmax(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dx = dy - exp(y) sum(dy)."""
    y = node.outputs[0]
    total = sum_over(e, dy, y, _axes(e, node))
    return e.sub(dy, e.mul(e.unary("Exp", y), total))
