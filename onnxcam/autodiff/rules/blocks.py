"""Operators that rearrange, repeat or mask blocks of positions."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead, sum_over
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.structure import split_axis
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter


@vjp("DepthToSpace", "SpaceToDepth")
def depth_to_space(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The moves backwards: blocks of b x b positions to channels, or channels to blocks."""
    x, y = node.inputs[0], node.outputs[0]
    dy = full(e, dy, y)
    b = node.attrs["blocksize"]
    front = len(dy.shape) - 3
    crd = node.attrs.get("mode", "DCR") == "CRD"
    order: tuple[int, ...]
    if node.op == "SpaceToDepth":
        channels = [x.shape[-3], b, b] if crd else [b, b, x.shape[-3]]
        cells: Shape = [*channels, *y.shape[-2:]]
        order = (0, 3, 1, 4, 2) if crd else (2, 3, 0, 4, 1)
        blocks = [e.dim(x, -3), e.ints(b, b)] if crd else [e.ints(b, b), e.dim(x, -3)]
        sizes = [*blocks, e.dim(y, -2), e.dim(y, -1)]
    else:
        cells = [y.shape[-3], x.shape[-2], b, x.shape[-1], b]
        order = (0, 2, 4, 1, 3) if crd else (2, 4, 0, 1, 3)
        sizes = [e.dim(y, -3), e.dim(x, -2), e.ints(b), e.dim(x, -1), e.ints(b)]
    before = [e.dim(dy, k - len(dy.shape)) for k in range(front)]
    apart = e.reshape(dy, [*dy.shape[:front], *cells], [*before, *sizes])
    moved = e.transpose(apart, order)
    dims = [*dy.shape[:front], *x.shape[-3:]]
    return e.reshape(moved, dims, [*before, *(e.dim(x, k) for k in (-3, -2, -1))])


@vjp("Tile")
def tile(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The sum over the copies."""
    x, y = node.inputs[0], node.outputs[0]
    repeats = e.network.value(node.inputs[1])
    if repeats is None:
        return _sum_of_all_copies(e, full(e, dy, y), x, node.inputs[1])
    rank = len(x.shape)
    for axis, times in zip(range(-rank, 0), repeats.ravel().tolist(), strict=True):
        if times == 1:
            continue
        if x.shape[axis] == 1:
            dy = sum_over(e, dy, y, [axis])
        elif dy.shape[axis] == 1:  # the same in every copy
            dy = e.mul(dy, times)
        else:
            copies, length = (times, e.ints(times)), (x.shape[axis], e.dim(x, axis))
            apart = split_axis(e, dy, axis, copies, length)
            dy = e.reduce("ReduceSum", apart, [axis - 1], keepdims=False)
    return dy


def _sum_of_all_copies(e: Emitter, dy: gs.Tensor, x: gs.Tensor, repeats: gs.Tensor) -> gs.Tensor:
    """The same where only the run knows how many they are."""
    rank = len(x.shape)
    front = len(dy.shape) - rank
    dims: Shape = list(dy.shape[:front])
    sizes = [e.dim(dy, k - len(dy.shape)) for k in range(front)]
    for axis in range(rank):
        dims += [None, x.shape[axis]]
        times = e.op("Gather", repeats, e.ints(axis), shape=[1], axis=0)
        sizes += [e.cast(times, np.int64), e.dim(x, axis - rank)]
    copies = e.reshape(dy, dims, sizes)
    return e.reduce("ReduceSum", copies, range(-2 * rank, 0, 2), keepdims=False)


@vjp("Trilu")
def trilu(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The same triangle of dy."""
    whole = full(e, dy, node.outputs[0], [-2, -1])
    upper = node.attrs.get("upper", 1)
    return e.op("Trilu", whole, *node.inputs[1:], shape=list(whole.shape), upper=upper)


@vjp("ReverseSequence")
def reverse_sequence(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Reversed again. The operator knows time and batch as the first two axes only."""
    y = node.outputs[0]
    rank, leading = len(y.shape), lead(dy, y)
    dy = full(e, dy, y)
    moved = e.transpose(dy, [*range(leading, leading + rank), *range(leading)])
    back = e.op(node.op, moved, node.inputs[1], shape=list(moved.shape), **node.attrs)
    return e.transpose(back, [*range(rank, rank + leading), *range(rank)])


@vjp("CenterCropPad")
def center_crop_pad(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Cropped where it was padded, padded where it was cropped."""
    x, y = node.inputs[0], node.outputs[0]
    rank = len(x.shape)
    axes = [axis % rank - rank for axis in node.attrs.get("axes", range(rank))]
    dy = full(e, dy, y, axes)
    sizes = e.concat([e.dim(x, axis) for axis in axes], -1)
    shape = [x.shape[k] if k in axes else dy.shape[k] for k in range(-rank, 0)]
    front = dy.shape[: len(dy.shape) - rank]
    return e.op("CenterCropPad", dy, sizes, shape=[*front, *shape], axes=axes)
