"""Gather and Compress: values picked along one axis go back to their places."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.positions import positions
from onnxcam.autodiff.rules.structure import spread
from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter

LARGEST_PRODUCT = 1 << 20
"""Entries of a 0/1 matrix of picks that is still multiplied with."""


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
    number = math.prod(picked.shape) if is_static(picked.shape) else None
    if count != 1:  # one axis for all the indices
        dims = [*dy.shape[:before], number, *dy.shape[before + count :]]
        sizes = [e.dim(dy, a - len(dy.shape)) for a in range(before)]
        sizes.append(e.op("Size", picked, shape=[], dtype=np.dtype(np.int64)))
        sizes[-1] = e.unsqueeze(sizes[-1], [0])
        sizes += [e.dim(dy, a) for a in range(axis + 1, 0)]
        dy = e.reshape(dy, dims, sizes)
    index = e.network.value(picked)
    flat = e.reshape(picked, [number])
    if index is None or not isinstance(size, int):
        return _scatter_add(e, x, flat, dy, axis)
    places = np.where(index < 0, index + size, index).ravel()
    if e.opset >= 16 and _picks_too_often(places, size):
        return _scatter_add(e, x, flat, dy, axis)
    return scatter(e, dy, places, axis, size)


def _picks_too_often(index: np.ndarray, size: int) -> bool:
    """Whether a product with the matrix of the picks would cost more than it spares."""
    return len(index) * size > LARGEST_PRODUCT and len(np.unique(index)) < len(index)


def _scatter_add(e: Emitter, x: gs.Tensor, index: gs.Tensor, dy: gs.Tensor, axis: int) -> gs.Tensor:
    """The same for (1-D) indices that only the run knows."""
    rank = len(dy.shape)
    if e.opset < 16:  # ScatterElements cannot add up yet
        at = e.cast(index, np.int64)
        counted = e.where(e.less(at, 0), e.add(at, e.dim(x, axis)), at)
        hits = e.equal(e.unsqueeze(counted, [1]), positions(e, x, axis))
        return picked_product(e, dy, e.cast(hits, dy.dtype), axis)
    others = [a for a in range(-len(x.shape), 0) if a != axis]
    dy = full(e, dy, x, others)
    index = e.unsqueeze(index, [a for a in range(rank) if a != axis % rank])
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


def picked_product(e: Emitter, dy: gs.Tensor, picks: gs.Tensor, axis: int) -> gs.Tensor:
    """The product along an axis with the 0/1 matrix of the picks."""
    if len(dy.shape) == 1:
        return e.squeeze(e.matmul(e.unsqueeze(dy, [0]), picks), [0])
    at = axis % len(dy.shape)
    order = [a for a in range(len(dy.shape)) if a != at] + [at]
    moved = e.matmul(e.transpose(dy, order), picks)
    return e.transpose(moved, np.argsort(order).tolist())


@lowering("Compress", wrt=(0,))
def compress(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Gather at the positions where the condition holds."""
    x, condition = node.inputs
    at = e.op("NonZero", condition, shape=[1, None], dtype=np.dtype(np.int64))
    index, axis = e.squeeze(at, [0]), node.attrs.get("axis")
    if axis is None:
        x, axis = e.reshape(x, [math.prod(x.shape) if is_static(x.shape) else None]), 0
    at_axis = axis % len(x.shape)
    shape = [None if k == at_axis else dim for k, dim in enumerate(x.shape)]
    return e.op("Gather", x, index, shape=shape, axis=at_axis)


@lowering("Unique", wrt=(0,), outputs=(0,))
def unique(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """Gather at the positions where each value stands first."""
    x = node.inputs[0]
    axis = node.attrs.get("axis")
    shapes = [list(node.outputs[0].shape), [None]]
    _, index = e.several("Unique", [x], shapes, [x.dtype, np.int64], **node.attrs)
    if axis is None:
        x, axis = e.reshape(x, [math.prod(x.shape) if is_static(x.shape) else None]), 0
    return [e.op("Gather", x, index, shape=shapes[0], axis=axis % len(x.shape))]


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
    return picked_product(e, dy, e.constant(picks), axis)
