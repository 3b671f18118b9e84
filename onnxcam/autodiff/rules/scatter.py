"""Operators that pick or place single values by index: each one's way back is the other."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.selection import zeros_like
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


def _require_add(e: Emitter, node: gs.Node) -> None:
    if e.opset < 16:
        raise UnsupportedOperatorError(
            f"{describe(node)}, opset {e.opset}, may pick a value twice, which has no derivative "
            f"here before opset 16; convert the model to a newer opset"
        )


def _leading(e: Emitter, t: gs.Tensor, dy: gs.Tensor, leading: int) -> gs.Tensor:
    """A tensor (of indices, or zeros) repeated along the leading axes of dy."""
    if not leading:
        return t
    front = e.unsqueeze(t, range(leading))
    sizes = [e.dim(dy, k - len(dy.shape)) for k in range(leading)]
    target = e.concat([*sizes, e.shape(t)], -1)
    return e.op("Expand", front, target, shape=[*dy.shape[:leading], *t.shape])


def _put(
    e: Emitter, x: gs.Tensor, index: gs.Tensor, dy: gs.Tensor, axis: int, reduction: str | None
) -> gs.Tensor:
    """dy at the positions `index` along an axis of x, zeros elsewhere."""
    leading = lead(dy, x)
    zeros = zeros_like(e, x, dy)
    return e.op(
        "ScatterElements",
        zeros,
        _leading(e, index, dy, leading),
        dy,
        shape=list(zeros.shape),
        axis=axis % len(x.shape) + leading,
        reduction=reduction,
    )


@vjp("GatherElements")
def gather_elements(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Add the values up where they were picked; needs ScatterElements' add (opset 16)."""
    _require_add(e, node)
    x, index, y = node.inputs[0], node.inputs[1], node.outputs[0]
    return _put(e, x, index, full(e, dy, y), node.attrs.get("axis", 0), "add")


@vjp("TopK", outputs=(0,))
def top_k(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """The largest (or smallest) values stand at the positions of the second output."""
    x, y, dy = node.inputs[0], node.outputs[0], dys[0]
    assert dy is not None
    return _put(e, x, node.outputs[1], full(e, dy, y), node.attrs.get("axis", -1), None)


@vjp("ScatterElements", wrt=(0, 2))
def scatter_elements(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Nothing flows to what was overwritten; to the update flows what is at its place."""
    adds = _adds(node)
    if i == 0 and adds:
        return dy
    x, index = node.inputs[:2]
    dy = full(e, dy, node.outputs[0])
    leading, axis = lead(dy, x), node.attrs.get("axis", 0) % len(x.shape)
    index = _leading(e, index, dy, leading)
    if i == 2:
        shape = list(index.shape)
        return e.op("GatherElements", dy, index, shape=shape, axis=axis + leading)
    zeros = e.expand(e.constant(np.zeros([1] * len(dy.shape)), dy.dtype), index)
    return e.op("ScatterElements", dy, index, zeros, shape=list(dy.shape), axis=axis + leading)


def _adds(node: gs.Node) -> bool:
    reduction = node.attrs.get("reduction", "none")
    if reduction not in ("none", "add"):
        raise UnsupportedOperatorError(
            f"{describe(node)} with reduction '{reduction}' has no derivative here; choose a "
            f"target layer behind it"
        )
    return bool(reduction == "add")


@vjp("GatherND")
def gather_nd(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Add the values up where they were picked; needs ScatterND's add (opset 16)."""
    _require_add(e, node)
    x, index, y = node.inputs[0], node.inputs[1], node.outputs[0]
    if node.attrs.get("batch_dims", 0):
        raise UnsupportedOperatorError(
            f"{describe(node)} picks within a batch, which has no derivative here; choose a "
            f"target layer behind it"
        )
    dy, leading = full(e, dy, y), lead(dy, y)
    shape = [*dy.shape[:leading], *x.shape]
    sizes = [e.dim(dy, k - len(dy.shape)) for k in range(leading)]
    target = e.concat([*sizes, e.shape(x)], -1)
    zeros = e.op("Expand", e.constant(np.zeros([1] * len(shape)), x.dtype), target, shape=shape)
    placed = _last(e, zeros, leading)
    placed = e.op(
        "ScatterND", placed, index, _last(e, dy, leading), shape=list(placed.shape), reduction="add"
    )
    return _first(e, placed, leading)


@vjp("ScatterND", wrt=(0, 2))
def scatter_nd(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Nothing flows to what was overwritten; to the updates flows what is at their place."""
    adds = _adds(node)
    if i == 0 and adds:
        return dy
    x, index, updates = node.inputs
    dy = full(e, dy, node.outputs[0])
    leading = lead(dy, x)
    moved = _last(e, dy, leading)
    shape = [*updates.shape, *dy.shape[:leading]]
    if i == 2:
        picked = e.op("GatherND", moved, index, shape=shape)
        return _first(e, picked, leading)
    sizes = [e.dim(dy, k - len(dy.shape)) for k in range(leading)]
    target = e.concat([e.shape(updates), *sizes], -1)
    zeros = e.op("Expand", e.constant(np.zeros([1] * len(shape)), x.dtype), target, shape=shape)
    cleared = e.op("ScatterND", moved, index, zeros, shape=list(moved.shape))
    return _first(e, cleared, leading)


def _last(e: Emitter, t: gs.Tensor, leading: int) -> gs.Tensor:
    """Leading axes moved to the end, where an operator that indexes the first ones allows them."""
    rank = len(t.shape)
    return e.transpose(t, [*range(leading, rank), *range(leading)])


def _first(e: Emitter, t: gs.Tensor, leading: int) -> gs.Tensor:
    """Leading axes moved back to the front."""
    rank = len(t.shape)
    return e.transpose(t, [*range(rank - leading, rank), *range(rank - leading)])
