"""Operators that only move, join or cut values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import OneHot, full, lead
from onnxcam.autodiff.precision import cotangent_dtype
from onnxcam.autodiff.registry import elementwise, vjp
from onnxcam.graph.axes import matching_axes
from onnxcam.graph.dims import Dim, Shape
from onnxcam.graph.emitter import Emitter


@vjp("Identity", takes_one_hot=True)
def identity(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor | OneHot) -> gs.Tensor | OneHot:
    return dy


@vjp("Cast")
@vjp("CastLike", ignored=(1,))
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


@vjp("Split")
def split(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """Join the parts again; a part that nothing depends on is zero."""
    x = node.inputs[0]
    rank = len(x.shape)
    axis = node.attrs.get("axis", 0) % rank - rank
    some = next(dy for dy in dys if dy is not None)
    parts = []
    for dy, y in zip(dys, node.outputs, strict=True):
        if y.shape[axis] == 0:
            continue
        if dy is None:
            dy = _zeros(e, some, y, axis)
        parts.append(full(e, dy, y))
    return e.concat(parts, axis)


def _zeros(e: Emitter, like: gs.Tensor, y: gs.Tensor, axis: int) -> gs.Tensor:
    """Zeros with the leading axes of a sibling's cotangent and the primal's length on `axis`."""
    zeros = e.constant(np.zeros([1] * len(like.shape)), like.dtype)
    return e.expand(e.mul(e.slice(like, axis, 0, 1), zeros), y)


def repeat(e: Emitter, x: gs.Tensor, counts: Sequence[int]) -> gs.Tensor:
    """(N, C, *size) with every value as a block of that many."""
    scales = e.constant([1.0, 1.0, *counts], np.float32)
    no_region = e.constant([], np.float32)  # an input that may be left out only from opset 13 on
    sizes = zip(x.shape[2:], counts, strict=True)
    dims = [size * count if isinstance(size, int) else None for size, count in sizes]
    return e.op(
        "Resize",
        x,
        no_region,
        scales,
        shape=[*x.shape[:2], *dims],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def split_axis(e: Emitter, x: gs.Tensor, axis: int, *lengths: tuple[Dim, gs.Tensor]) -> gs.Tensor:
    """A negative axis as several, the length of each given as a dimension and as a tensor."""
    rank = len(x.shape)
    at = axis % rank
    dims: Shape = [*x.shape[:at], *(dim for dim, _ in lengths), *x.shape[at + 1 :]]
    sizes = [e.dim(x, k - rank) for k in range(rank)]
    sizes[at : at + 1] = [size for _, size in lengths]
    return e.reshape(x, dims, sizes)


def spread(e: Emitter, x: gs.Tensor, axis: int, step: int) -> gs.Tensor:
    """Put step - 1 zeros behind every value along a negative axis."""
    if step == 1:
        return x
    rank = len(x.shape)
    at = axis % rank
    cells = e.unsqueeze(x, [at + 1])
    if axis == -1:  # padding value by value is slow, joining as many zeros is not
        zeros = e.op(
            "ConstantOfShape",
            e.shape(cells),
            shape=list(cells.shape),
            dtype=x.dtype,
            value=onnx.numpy_helper.from_array(np.zeros(1, x.dtype)),
        )
        apart = e.concat([cells, *[zeros] * (step - 1)], -1)
    else:
        apart = e.pad(cells, {at - rank: (0, step - 1)})
    size = x.shape[axis]
    dims = list(x.shape)
    dims[at] = size * step if isinstance(size, int) else None
    sizes = [e.dim(x, k - rank) for k in range(rank)]
    sizes[at] = e.ints(size * step) if isinstance(size, int) else e.mul(sizes[at], step)
    return e.reshape(apart, dims, sizes)
