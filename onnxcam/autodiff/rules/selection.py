"""Gather: values picked along one axis go back to their places."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.structure import spread
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter
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
    return scatter(e, dy, np.where(index < 0, index + size, index).ravel(), axis, size)


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
    zeros = zeros_like(e, x, dy)
    return e.op(
        "ScatterElements",
        zeros,
        index,
        dy,
        shape=list(zeros.shape),
        axis=axis % rank,
        reduction="add",
    )


def zeros_like(e: Emitter, x: gs.Tensor, dy: gs.Tensor) -> gs.Tensor:
    """Zeros shaped like x, with the leading axes of dy in front (dy has x's rank behind them)."""
    shape = [*dy.shape[: lead(dy, x)], *x.shape]
    sizes = [e.dim(dy, k - len(dy.shape)) for k in range(lead(dy, x))]
    target = e.concat([*sizes, e.shape(x)], -1)
    zero = e.constant(np.zeros([1] * len(shape)), x.dtype)
    return e.op("Expand", zero, target, shape=shape)


def scatter(e: Emitter, dy: gs.Tensor, index: np.ndarray, axis: int, size: int) -> gs.Tensor:
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
