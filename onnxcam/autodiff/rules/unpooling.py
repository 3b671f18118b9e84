"""Operators that put values at computed positions of an image: MaxUnpool and Col2Im."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.positions import positions
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@vjp("MaxUnpool")
def max_unpool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """What stands where each value was put.

    Where that is, the operator itself says, of the values' numbers: of several values at one
    place only one arrives, and how indices count where an output shape is given differs between
    runtimes. (Exact up to 2^24 values, as float32 numbers them.)
    """
    x, y = node.inputs[0], node.outputs[0]
    dy, leading = full(e, dy, y), lead(dy, y)
    count = math.prod(x.shape) if is_static(x.shape) else None
    flat = e.reshape(x, [count])
    numbers = e.cast(e.add(positions(e, flat, 0), 1), x.dtype)
    numbered = e.op(
        "MaxUnpool",
        e.reshape_like(numbers, x),
        *node.inputs[1:],
        shape=list(y.shape),
        **node.attrs,
    )
    source = e.cast(numbered, np.int64)
    front = list(dy.shape[:leading])
    total = math.prod(y.shape) if is_static(y.shape) else None
    sizes = [e.dim(dy, k - len(dy.shape)) for k in range(leading)]
    several = e.reshape(dy, [*front, total], [*sizes, e.ints(-1)])
    at = e.reshape(source, [total])
    if leading:
        at = e.expand(e.unsqueeze(at, range(leading)), several)
    # Place 0 takes what lies between the values, and is cut off again.
    longer = None if count is None else count + 1
    length = e.add(e.op("Size", x, shape=[], dtype=np.dtype(np.int64)), 1)
    target = e.concat([*sizes, e.unsqueeze(length, [0])], -1)
    zeros = e.constant(np.zeros([1] * (leading + 1)), dy.dtype)
    places = e.op("Expand", zeros, target, shape=[*front, longer])
    put = e.op("ScatterElements", places, at, several, shape=[*front, longer], axis=leading)
    values = e.slice(put, -1, 1, np.iinfo(np.int64).max)
    return e.reshape_like(values, x, leading)


@vjp("Col2Im")
def col2im(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The blocks of the (padded) image: along each axis, those positions that every block has."""
    x, y = node.inputs[0], node.outputs[0]
    block = e.network.value(node.inputs[2])
    if block is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} computes its block's size at run time, which has no derivative "
            f"here; fold the model's constants first"
        )
    kernel = [int(k) for k in block.ravel()]
    rank = len(kernel)
    pads = node.attrs.get("pads", [0] * (2 * rank))
    around = {k - rank: (pads[k], pads[k + rank]) for k in range(rank)}
    blocks = e.pad(full(e, dy, y), around)
    front = len(blocks.shape) - rank
    for k in range(rank):  # behind the axes done so far, each of which has become two
        blocks = _blocks_along(e, node, blocks, k, front + 2 * k, kernel[k])
    taps = range(0, 2 * rank, 2)
    blocks = e.transpose(blocks, (*taps, *(tap + 1 for tap in taps)))
    sizes = [e.dim(blocks, k - len(blocks.shape)) for k in range(front - 1)]
    dims: Shape = [*blocks.shape[: front - 1], *x.shape[-2:]]
    return e.reshape(blocks, dims, [*sizes, e.dim(x, -2), e.dim(x, -1)])


def _blocks_along(
    e: Emitter, node: gs.Node, t: gs.Tensor, k: int, axis: int, taps: int
) -> gs.Tensor:
    """Spatial axis k, at `axis` of t, as one of the block's taps and one of the blocks."""
    stride, dilation = (node.attrs.get(name, [])[k:] or [1] for name in ("strides", "dilations"))
    offsets = np.arange(taps)[:, None] * dilation[0]
    extent = (taps - 1) * dilation[0] + 1
    size = t.shape[axis]
    if isinstance(size, int):
        starts: gs.Tensor = e.constant(np.arange(0, size - extent + 1, stride[0]), np.int64)
    else:
        end = e.sub(e.squeeze(e.dim(t, axis - len(t.shape)), [0]), extent - 1)
        zero, step = e.constant(0, np.int64), e.constant(stride[0], np.int64)
        starts = e.op("Range", zero, end, step, shape=[None])
    index = e.add(e.constant(offsets, np.int64), starts)
    shape = [*t.shape[:axis], *index.shape, *t.shape[axis + 1 :]]
    return e.op("Gather", t, index, shape=shape, axis=axis)
