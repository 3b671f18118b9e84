"""Operators that pick or place blocks by index, as those that do so by element."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.positions import positions
from onnxcam.graph.dims import Dim, Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given


@lowering("GatherND", wrt=(0,))
def gather_nd(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Gather from the indexed axes as one."""
    x, index = node.inputs
    batch = node.attrs.get("batch_dims", 0)
    depth = batch + int(index.shape[-1])
    flat = _merged(e, x, 0, depth)
    picked = _flat_index(e, index, x, batch)
    shape = [*picked.shape, *x.shape[depth:]]
    return e.op("Gather", flat, picked, shape=shape, axis=0)


@lowering("ScatterND", wrt=(0, 2))
def scatter_nd(e: Emitter, node: gs.Node) -> gs.Tensor:
    """ScatterElements into the indexed axes as one, and into those that are not as another."""
    x, index, updates = node.inputs
    depth, count = int(index.shape[-1]), len(index.shape) - 1
    data = _merged(e, _merged(e, x, depth, len(x.shape)), 0, depth)
    values = _merged(e, _merged(e, updates, count, len(updates.shape)), 0, count)
    picked = e.reshape(_flat_index(e, index, x, 0), [_size(index.shape[:-1])])
    at = e.op("Expand", e.unsqueeze(picked, [1]), e.shape(values), shape=list(values.shape))
    reduction = node.attrs.get("reduction")
    shape = list(data.shape)
    placed = e.op("ScatterElements", data, at, values, shape=shape, axis=0, reduction=reduction)
    return e.unary("Identity", e.reshape_like(placed, x))


@lowering("TensorScatter", wrt=(0, 1))
def tensor_scatter(e: Emitter, node: gs.Node) -> gs.Tensor:
    """ScatterElements at positions that follow each sample's first one."""
    cache, update = node.inputs[:2]
    rank = len(cache.shape)
    axis = node.attrs.get("axis", -2) % rank
    at = e.unsqueeze(positions(e, update, axis), [k for k in range(rank) if k != axis])
    first = given(node, 2)
    if first is not None:
        first = e.cast(first, np.int64)
        at = e.add(at, e.unsqueeze(first, range(1, rank)))
    if node.attrs.get("mode", "linear") == "circular":
        at = e.op("Mod", at, e.dim(cache, axis - rank), shape=list(at.shape))
    at = e.op("Expand", at, e.shape(update), shape=list(update.shape))
    return e.op("ScatterElements", cache, at, update, shape=list(cache.shape), axis=axis)


def _size(dims: Shape) -> Dim:
    return math.prod(d for d in dims if isinstance(d, int)) if is_static(dims) else None


def _merged(e: Emitter, t: gs.Tensor, start: int, stop: int) -> gs.Tensor:
    """Axes start to stop of t as one (of length 1 where there is none)."""
    dims = [*t.shape[:start], _size(t.shape[start:stop]), *t.shape[stop:]]
    rank = len(t.shape)
    one: gs.Tensor = e.ints(1)
    for axis in range(start, stop):
        one = e.mul(one, e.dim(t, axis - rank))
    sizes = [e.dim(t, axis - rank) for axis in range(rank)]
    return e.reshape(t, dims, [*sizes[:start], one, *sizes[stop:]])


def _flat_index(e: Emitter, index: gs.Tensor, x: gs.Tensor, batch: int) -> gs.Tensor:
    """Indices of single elements of the first axes of x, as numbers that count through them."""
    depth = batch + int(index.shape[-1])
    rank, count = len(x.shape), len(index.shape) - 1
    known, sizes = e.network.value(index), x.shape[:depth]
    if known is not None and is_static(sizes):
        each = [*np.indices(known.shape[:-1])[:batch], *np.moveaxis(known, -1, 0)]
        return e.constant(np.ravel_multi_index(each, sizes, mode="wrap"), np.int64)
    flat: gs.Tensor = e.constant(0, np.int64)
    for axis in range(depth):
        size = e.dim(x, axis - rank)
        if axis < batch:
            at = e.unsqueeze(positions(e, index, axis), [k for k in range(count) if k != axis])
        else:
            shape = list(index.shape[:-1])
            k = e.constant(axis - batch, np.int64)
            at = e.op("Gather", index, k, shape=shape, axis=count)
            at = e.where(e.less(at, 0), e.add(at, size), at)
        flat = e.add(e.mul(flat, size), at)
    return flat
