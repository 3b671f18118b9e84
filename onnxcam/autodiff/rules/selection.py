"""Operators that pick values by index."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.structure import spread
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter, is_static
from onnxcam.graph.network import describe


@vjp("Gather")
def gather(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Indices that the file stores: the values padded or gathered back to their places."""
    x, y = node.inputs[0], node.outputs[0]
    rank = len(x.shape)
    axis = node.attrs.get("axis", 0) % rank - rank
    size = x.shape[axis]
    picked = node.inputs[1]
    count = len(picked.shape)
    before = rank + axis + lead(dy, y)  # axes in front of the gathered one, in dy
    front = before - len(dy.shape)
    dy = full(e, dy, y, range(front, front + count))
    if count != 1:  # one axis for all the indices
        number = int(np.prod(picked.shape)) if is_static(picked.shape) else None
        dims = [*dy.shape[:before], number, *dy.shape[before + count :]]
        sizes = [e.dim(dy, a - len(dy.shape)) for a in range(before)]
        sizes.append(e.op("Size", picked, shape=[], dtype=np.dtype(np.int64)))
        sizes[-1] = e.unsqueeze(sizes[-1], [0])
        sizes += [e.dim(dy, a) for a in range(axis + 1, 0)]
        dy = e.reshape(dy, dims, sizes)
    index = e.network.value(picked)
    if index is None or not isinstance(size, int):
        return _scatter_add(e, node, dy, axis)
    return _scatter(e, dy, np.where(index < 0, index + size, index).ravel(), axis, size)


def _scatter_add(e: Emitter, node: gs.Node, dy: gs.Tensor, axis: int) -> gs.Tensor:
    """The same for indices that only the run knows; needs ScatterElements' add (opset 16)."""
    x, picked = node.inputs[:2]
    if e.opset < 16:
        raise UnsupportedOperatorError(
            f"{describe(node)} takes its indices from the run, which has no derivative here "
            f"before opset 16; convert the model to a newer opset"
        )
    rank = len(dy.shape)
    others = [a for a in range(-len(x.shape), 0) if a != axis]
    dy = full(e, dy, x, others)
    flat = e.reshape(picked, [None])
    index = e.unsqueeze(flat, [a for a in range(rank) if a != axis % rank])
    index = e.op("Expand", index, e.shape(dy), shape=list(dy.shape))
    zeros = e.expand(e.constant(np.zeros([1] * len(x.shape)), x.dtype), x)
    lead_axes = rank - len(x.shape)
    if lead_axes:
        target = e.concat([e.dim(dy, 0 - rank), e.shape(x)], -1)
        zeros = e.op("Expand", zeros, target, shape=[dy.shape[0], *x.shape])
    return e.op(
        "ScatterElements",
        zeros,
        index,
        dy,
        shape=list(zeros.shape),
        axis=axis % rank,
        reduction="add",
    )


def _scatter(e: Emitter, dy: gs.Tensor, index: np.ndarray, axis: int, size: int) -> gs.Tensor:
    """Values along an axis to the positions `index` of an axis of length `size`."""
    steps = np.unique(np.diff(index))
    if len(index) == 1 or (len(steps) == 1 and steps[0] > 0):
        step = int(steps[0]) if len(steps) else 1
        start = int(index[0])
        dy = spread(e, dy, axis, step)
        return e.pad(dy, {axis: (start, size - start - len(index) * step)})
    at = axis % len(dy.shape)
    shape = [size if a == at else d for a, d in enumerate(dy.shape)]
    if len(np.unique(index)) == len(index):
        source = np.full(size, len(index), dtype=np.int64)
        source[index] = np.arange(len(index))
        if len(index) < size:  # one more position, which holds zero, for those never picked
            dy = e.pad(dy, {axis: (0, 1)})
        return e.op("Gather", dy, e.constant(source), shape=shape, axis=at)
    # A position picked more than once adds up: a product with the 0/1 matrix of the picks.
    picks = np.zeros((len(index), size), dtype=dy.dtype)
    picks[np.arange(len(index)), index] = 1
    order = [a for a in range(len(dy.shape)) if a != at] + [at]
    moved = e.matmul(e.transpose(dy, order), e.constant(picks))
    return e.transpose(moved, np.argsort(order).tolist())


@vjp("GatherElements")
def gather_elements(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Add the values up where they were picked; needs ScatterElements' add (opset 16)."""
    x, index, y = node.inputs[0], node.inputs[1], node.outputs[0]
    if e.opset < 16 or lead(dy, y):
        raise UnsupportedOperatorError(
            f"{describe(node)}, opset {e.opset}, has no derivative here before opset 16 or for "
            f"several targets at once; convert the model to a newer opset"
        )
    zeros = e.expand(e.constant(np.zeros([1] * len(x.shape)), x.dtype), x)
    return e.op(
        "ScatterElements",
        zeros,
        index,
        full(e, dy, y),
        shape=list(x.shape),
        axis=node.attrs.get("axis", 0),
        reduction="add",
    )


@vjp("TopK")
def top_k(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """The largest (or smallest) values stand at the positions of the second output."""
    x, y, dy = node.inputs[0], node.outputs[0], dys[0]
    assert dy is not None
    if lead(dy, y):
        raise UnsupportedOperatorError(
            f"{describe(node)} has no derivative here for several targets at once; use top=1"
        )
    zeros = e.expand(e.constant(np.zeros([1] * len(x.shape)), x.dtype), x)
    return e.op(
        "ScatterElements",
        zeros,
        node.outputs[1],
        full(e, dy, y),
        shape=list(x.shape),
        axis=node.attrs.get("axis", -1),
    )
