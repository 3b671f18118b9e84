"""Operators that pick or place single values by index: each one's way back is the other."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.registry import refuse, vjp
from onnxcam.autodiff.rules.selection import zeros_like
from onnxcam.graph.emitter import Emitter

refuse("it ended with opset 10; a model that old is converted to ScatterElements", "Scatter")


def _leading(e: Emitter, t: gs.Tensor, dy: gs.Tensor, leading: int) -> gs.Tensor:
    """A tensor repeated along the leading axes of dy."""
    if not leading:
        return t
    front = e.unsqueeze(t, range(leading))
    sizes = [e.dim(dy, k - len(dy.shape)) for k in range(leading)]
    target = e.concat([*sizes, e.shape(t)], -1)
    return e.op("Expand", front, target, shape=[*dy.shape[:leading], *t.shape])


def _at(e: Emitter, t: gs.Tensor, index: gs.Tensor, axis: int) -> gs.Tensor:
    """The elements of t at an index of t's rank, along a negative axis."""
    at = axis % len(t.shape)
    return e.op("GatherElements", t, index, shape=list(index.shape), axis=at)


def _scattered(
    e: Emitter, t: gs.Tensor, index: gs.Tensor, values: gs.Tensor, axis: int, reduction: str | None
) -> gs.Tensor:
    shape, at = list(t.shape), axis % len(t.shape)
    return e.op("ScatterElements", t, index, values, shape=shape, axis=at, reduction=reduction)


def _added_up(e: Emitter, x: gs.Tensor, index: gs.Tensor, dy: gs.Tensor, axis: int) -> gs.Tensor:
    """dy added up at the positions `index` along an axis of x, zeros elsewhere."""
    zeros = zeros_like(e, x, dy)
    if e.opset >= 16:
        return _scattered(e, zeros, index, dy, axis, "add")
    # ScatterElements cannot add up yet: each pick gets a row of its own, and the rows are summed.
    at = axis % len(dy.shape)
    last = len(dy.shape)
    order = [k for k in range(last) if k != at] + [at]
    rows = [e.transpose(t, order) for t in (dy, index)]
    picks = rows[0].shape[-1]
    long = e.unsqueeze(e.transpose(zeros, order), [-2])
    target = e.concat(
        [*(e.dim(long, k) for k in range(-last - 1, -2)), e.dim(rows[0], -1), e.dim(long, -1)], -1
    )
    spread = e.op("Expand", long, target, shape=[*long.shape[:-2], picks, long.shape[-1]])
    values, places = (e.unsqueeze(t, [-1]) for t in rows)
    placed = _scattered(e, spread, places, values, -1, None)
    summed = e.reduce("ReduceSum", placed, [-2], keepdims=False)
    return e.transpose(summed, np.argsort(order).tolist())


@vjp("GatherElements")
def gather_elements(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Add the values up where they were picked."""
    x, index, y = node.inputs[0], node.inputs[1], node.outputs[0]
    axis = node.attrs.get("axis", 0) % len(x.shape) - len(x.shape)
    dy = full(e, dy, y)
    return _added_up(e, x, _leading(e, index, dy, lead(dy, y)), dy, axis)


@vjp("TopK", outputs=(0,))
def top_k(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """The largest (or smallest) values stand at the positions of the second output."""
    x, y, dy = node.inputs[0], node.outputs[0], dys[0]
    assert dy is not None
    axis = node.attrs.get("axis", -1) % len(x.shape) - len(x.shape)
    dy = full(e, dy, y)
    index = _leading(e, node.outputs[1], dy, lead(dy, y))
    return _scattered(e, zeros_like(e, x, dy), index, dy, axis, None)


@vjp("ScatterElements", wrt=(0, 2))
def scatter_elements(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """To the data flows dy, to an update what stands at its place in dy, each times its share."""
    index, y = node.inputs[1], node.outputs[0]
    axis = node.attrs.get("axis", 0) % len(y.shape) - len(y.shape)
    if i == 2:
        dy = full(e, dy, y)
        dy = _at(e, dy, _leading(e, index, dy, lead(dy, y)), axis)
    share = _SHARES[node.attrs.get("reduction", "none")](e, node, i, axis)
    return dy if share is None else e.mul(dy, share)


def _share_of_none(e: Emitter, node: gs.Node, i: int, axis: int) -> gs.Tensor | None:
    """Nothing is left of what was overwritten."""
    if i == 2:
        return None
    data, index, updates = node.inputs
    one, zero = (e.constant(np.full([1] * len(data.shape), k), data.dtype) for k in (1, 0))
    return _scattered(e, e.expand(one, data), index, e.expand(zero, updates), axis, None)


def _share_of_add(e: Emitter, node: gs.Node, i: int, axis: int) -> None:
    return None


def _share_of_mul(e: Emitter, node: gs.Node, i: int, axis: int) -> gs.Tensor:
    """The product of the others: zeros are left out of it and counted instead."""
    data, index, updates = node.inputs
    is_zero = [e.equal(t, 0) for t in (data, updates)]
    counts = [e.cast(t, data.dtype) for t in is_zero]
    nonzero = [e.where(z, 1, t) for z, t in zip(is_zero, (data, updates), strict=True)]
    product = _scattered(e, nonzero[0], index, nonzero[1], axis, "mul")
    zeros = _scattered(e, counts[0], index, counts[1], axis, "add")
    if i == 2:
        product, zeros = (_at(e, t, index, axis) for t in (product, zeros))
    other_zeros = e.sub(zeros, counts[i // 2])
    return e.where(e.greater(other_zeros, 0), 0, e.div(product, nonzero[i // 2]))


def _share_of_extreme(e: Emitter, node: gs.Node, i: int, axis: int) -> gs.Tensor:
    """Those that equal the extreme share alike."""
    data, index, updates = node.inputs
    y = node.outputs[0]
    at_updates = _at(e, y, index, axis)
    hits = [e.cast(e.equal(t, m), y.dtype) for t, m in ((data, y), (updates, at_updates))]
    number = _scattered(e, hits[0], index, hits[1], axis, "add")
    if i == 2:
        number = _at(e, number, index, axis)
    return e.div(hits[i // 2], number)


_SHARES = {
    "none": _share_of_none,
    "add": _share_of_add,
    "mul": _share_of_mul,
    "min": _share_of_extreme,
    "max": _share_of_extreme,
}
