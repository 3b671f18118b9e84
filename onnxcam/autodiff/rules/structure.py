"""Operators that only move, join or cut values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import OneHot, full, lead
from onnxcam.autodiff.precision import cotangent_dtype
from onnxcam.autodiff.registry import elementwise, vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.axes import matching_axes
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@vjp("Identity", "Dropout", takes_one_hot=True)
def identity(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | OneHot) -> gs.Tensor | OneHot:
    """Dropout does nothing at inference."""
    return dys[0]


@vjp("Cast", "CastLike")
def cast(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.cast(dy, cotangent_dtype(node.inputs[0]))


@vjp("Transpose")
def transpose(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    rank = len(node.inputs[0].shape)
    perm = node.attrs.get("perm", list(range(rank))[::-1])
    return e.transpose(dy, np.argsort(perm).tolist())


@vjp("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, y = node.inputs[0], node.outputs[0]
    leading = lead(dy, y)
    short = _lazy_reshape(list(x.shape), list(y.shape), list(dy.shape[leading:]))
    if short is not None:
        return e.reshape(dy, [*dy.shape[:leading], *short])
    return e.reshape_like(full(e, dy, y), x, leading)


def _lazy_reshape(x: Shape, y: Shape, dy: Shape) -> Shape | None:
    """Shape of a lazy cotangent behind a reshape from x to y, if it can stay lazy.

    The axes of x and y fall into groups of equal size. A group of y over which dy does not vary
    at all becomes 1s in x, one over which it is complete becomes x's dimensions; a mixed one
    cannot stay lazy.
    """
    if dy == y:
        return None
    result: Shape = []
    for in_x, in_y in matching_axes(x, y):
        short = [dy[k] for k in in_y]
        if in_y and all(d == 1 for d in short):
            result += [1] * len(in_x)
        elif short == [y[k] for k in in_y]:
            result += [x[k] for k in in_x]
        else:
            return None
    unknown = [dim for dim in result if not isinstance(dim, int)]
    return result if len(unknown) <= 1 else None


@elementwise("Expand")
def expand(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return dy


@vjp("Concat", wrt=None)
def concat(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    y = node.outputs[0]
    rank = len(y.shape)
    axis = node.attrs["axis"] % rank - rank
    if dy.shape[axis] == 1 and y.shape[axis] != 1:
        return dy  # the same along the axis, so the same in every part
    sizes = [x.shape[axis] for x in node.inputs]
    if is_static(sizes[: i + 1]):
        start = sum(sizes[:i])
        return e.slice(dy, axis, start, start + sizes[i])
    return _dynamic_split(e, dy, axis, [e.dim(x, axis) for x in node.inputs])[i]


def _dynamic_split(
    e: Emitter, dy: gs.Tensor, axis: int, sizes: Sequence[gs.Tensor]
) -> list[gs.Variable]:
    if e.opset < 13:
        raise UnsupportedOperatorError(
            "a Concat of parts whose length varies has no derivative before opset 13; "
            "convert the model to a newer opset or fix its input size"
        )
    shape = [None if k - len(dy.shape) == axis else d for k, d in enumerate(dy.shape)]
    first = e.op("Split", dy, e.concat(list(sizes), -1), shape=shape, axis=axis % len(dy.shape))
    node = first.inputs[0]
    rest = [
        gs.Variable(f"{first.name}_{k}", dtype=dy.dtype, shape=list(shape))
        for k in range(1, len(sizes))
    ]
    node.outputs.extend(rest)
    return [first, *rest]


@vjp("Split")
def split(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """Join the parts again; a part that nothing depends on is zero."""
    x = node.inputs[0]
    rank = len(x.shape)
    axis = node.attrs.get("axis", 0) % rank - rank
    some = next(dy for dy in dys if dy is not None)
    parts = []
    for dy, y in zip(dys, node.outputs, strict=True):
        if dy is None:
            dy = _zeros(e, some, y, axis)
        parts.append(full(e, dy, y))
    return e.concat(parts, axis)


def _zeros(e: Emitter, like: gs.Tensor, y: gs.Tensor, axis: int) -> gs.Tensor:
    """Zeros with the leading axes of a sibling's cotangent and the primal's length on `axis`."""
    zeros = e.constant(np.zeros([1] * len(like.shape)), like.dtype)
    return e.expand(e.mul(e.slice(like, axis, 0, 1), zeros), y)


@vjp("Slice")
def slice_(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Put the values back where they were cut from, zeros around and between them."""
    x, y = node.inputs[0], node.outputs[0]
    for axis, start, step in _slice_steps(e, node):
        dy = _unslice(e, full(e, dy, y, [axis]), x, node, axis, start, step)
    return dy


def _slice_steps(e: Emitter, node: gs.Node) -> list[tuple[int, int, int]]:
    """(negative axis, first index, step) of every axis that is really cut."""
    x, y = node.inputs[0], node.outputs[0]
    rank = len(x.shape)
    values = [e.network.value(t) if t.name else None for t in node.inputs[1:]]
    starts, _, axes, steps = (*values, None, None)[:4]
    if starts is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} computes its start at run time, which has no derivative here; "
            f"fold the model's constants first"
        )
    axes = np.arange(starts.size) if axes is None else axes
    steps = np.ones(starts.size, dtype=int) if steps is None else steps
    cut = []
    for axis, start, step in zip(axes.tolist(), starts.tolist(), steps.tolist(), strict=True):
        axis = axis % rank - rank
        size = x.shape[axis]
        if size == y.shape[axis] and size is not None and step == 1:
            continue
        if isinstance(size, int):
            start = slice(start, None, step).indices(size)[0]
        elif start < 0 or step != 1:
            raise UnsupportedOperatorError(
                f"{describe(node)} cuts a dimension of unknown length from its end, which has no "
                f"derivative here; fix the model's input size"
            )
        cut.append((axis, start, step))
    return cut


def _unslice(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, node: gs.Node, axis: int, start: int, step: int
) -> gs.Tensor:
    size = x.shape[axis]
    length = dy.shape[axis]
    if not isinstance(size, int) or not isinstance(length, int):
        return _pad_to(e, dy, x, axis, start)
    if step < 0:
        dy = e.flip(dy, [axis])
        start, step = start + (length - 1) * step, -step
    dy = spread(e, dy, axis, step)
    return e.pad(dy, {axis: (start, size - start - length * step)})


def _pad_to(e: Emitter, dy: gs.Tensor, x: gs.Tensor, axis: int, start: int) -> gs.Tensor:
    """Pad an axis to a length that only the run knows."""
    rank = len(dy.shape)
    at = axis % rank
    after = e.sub(e.sub(e.dim(x, axis), e.dim(dy, axis)), start)
    pads = [e.ints(*([0] * at + [start] + [0] * (rank - 1))), after, e.ints(*[0] * (-axis - 1))]
    shape = list(dy.shape)
    shape[axis] = x.shape[axis]
    fill = e.constant(0, dy.dtype)
    return e.op("Pad", dy, e.concat(pads, -1), fill, shape=shape, mode="constant")


def spread(e: Emitter, x: gs.Tensor, axis: int, step: int) -> gs.Tensor:
    """Put step - 1 zeros behind every value along a negative axis."""
    if step == 1:
        return x
    rank = len(x.shape)
    at = axis % rank
    apart = e.pad(e.unsqueeze(x, [at + 1]), {at - rank: (0, step - 1)})
    size = x.shape[axis]
    dims = list(x.shape)
    dims[at] = size * step if isinstance(size, int) else None
    sizes = [e.dim(x, k - rank) for k in range(rank)]
    sizes[at] = e.ints(size * step) if isinstance(size, int) else e.mul(sizes[at], step)
    return e.reshape(apart, dims, sizes)
