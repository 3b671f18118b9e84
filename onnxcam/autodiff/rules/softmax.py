"""Softmax and its logarithm."""

from __future__ import annotations

import numpy as np
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
    y = _without_nan(e, node.outputs[0])
    total = e.reduce("ReduceSum", e.mul(dy, y), _axes(e, node))
    return e.mul(y, e.sub(dy, total))


def _without_nan(e: Emitter, y: gs.Tensor) -> gs.Tensor:
    """y with zeros for NaN, where the model itself replaces some of y.

    A row masked entirely is 0 / 0; what an attention puts in its place does not depend on it.
    """
    if not _replaced(e, y):
        return y
    missing = e.op("IsNaN", y, shape=list(y.shape), dtype=np.dtype(bool))
    return e.where(missing, 0, y)


def _replaced(e: Emitter, y: gs.Tensor) -> bool:
    """Whether a `Where` of the model reads a tensor, or a cast of it, as one of its values."""
    made = [node for node in y.inputs if node.op == "Cast" and node.name.startswith(e.prefix)]
    if made:  # a stand-in for what the model has in half precision
        y = made[0].inputs[0]
    readers = [node for node in y.outputs if not node.name.startswith(e.prefix)]
    return any(
        node.op == "Where" or (node.op in ("Cast", "Identity") and _replaced(e, node.outputs[0]))
        for node in readers
    )


@vjp("LogSoftmax")
def log_softmax(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dx = dy - exp(y) sum(dy)."""
    y = node.outputs[0]
    total = sum_over(e, dy, y, _axes(e, node))
    return e.sub(dy, e.mul(e.unary("Exp", y), total))
