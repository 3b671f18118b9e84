"""Spatial transformers: pictures sampled at the points of a grid, and grids made by a matrix."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.sampling import (
    Taps,
    clipped,
    cubic_taps,
    length,
    linear_taps,
    merged,
    nearest_tap,
    pixels,
    sum_of_pixels,
    zero_outside,
)
from onnxcam.graph.emitter import Emitter


@lowering("GridSample", wrt=(0, 1))
def grid_sample(e: Emitter, node: gs.Node) -> gs.Tensor:
    """The grid's points name the last axis of the picture first, from -1 to 1."""
    x, grid = node.inputs
    rank = len(x.shape) - 2
    points = e.transpose(merged(e, grid, 1, rank), [0, 2, 1])
    sizes = [length(e, x, axis) for axis in range(-rank, 0)]
    parts = [e.slice(points, -2, k, k + 1) for k in reversed(range(rank))]
    taps = [_taps(e, node, at, size) for at, size in zip(parts, sizes, strict=True)]
    values = sum_of_pixels(e, merged(e, x, 2, rank), *pixels(e, taps, sizes))
    return e.reshape_like(values, node.outputs[0])


def _taps(e: Emitter, node: gs.Node, at: gs.Tensor, size: gs.Tensor) -> Taps:
    """Pixels around a coordinate along one axis."""
    aligned = bool(node.attrs.get("align_corners", 0))
    padding = node.attrs.get("padding_mode", "zeros")
    mode = node.attrs.get("mode", "linear").removeprefix("bi")
    if aligned:  # -1 and 1 are the centres of the first and the last pixel
        at = e.mul(e.add(at, 1), e.mul(e.sub(size, 1), 0.5))
    else:  # their outer edges
        at = e.mul(e.sub(e.mul(e.add(at, 1), size), 1), 0.5)

    def padded(at: gs.Tensor) -> gs.Tensor:
        if padding == "reflection":
            at = _reflected(e, at, size, aligned)
        return clipped(e, at, size)

    if mode == "cubic":
        taps = cubic_taps(e, at)
        if padding != "zeros":  # the pixels, not the position, as ONNX Runtime and PyTorch do
            taps = Taps(padded(taps.positions), taps.weights)
    else:
        around = linear_taps if mode == "linear" else nearest_tap
        taps = around(e, at if padding == "zeros" else padded(at))
    return zero_outside(e, taps, size) if padding == "zeros" else taps


def _reflected(e: Emitter, at: gs.Tensor, size: gs.Tensor, aligned: bool) -> gs.Tensor:
    """Positions folded back at the first and last pixel's centres, or at their outer edges."""
    low = 0.0 if aligned else -0.5
    one = e.constant([1], at.dtype)
    span = e.op("Max", e.sub(size, 1), one, shape=[1]) if aligned else size
    distance = e.unary("Abs", e.sub(at, low))
    times = e.unary("Floor", e.div(distance, span))
    rest = e.sub(distance, e.mul(times, span))
    odd = e.sub(times, e.mul(e.unary("Floor", e.mul(times, 0.5)), 2))
    return e.add(e.add(rest, e.mul(odd, e.sub(span, e.mul(rest, 2)))), low)


@vjp("AffineGrid")
def affine_grid(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = (p, 1) theta^T for every point p, and the points are the grid that theta = I makes."""
    theta, y = node.inputs[0], node.outputs[0]
    rank = len(y.shape) - 2
    spatial = range(-1 - rank, -1)
    same = e.constant(np.eye(rank, rank + 1)[None], theta.dtype)
    size = e.concat([e.ints(1, 1), *(e.dim(y, axis) for axis in spatial)], -1)
    shape = [1, *y.shape[1:]]
    points = e.op("AffineGrid", same, size, shape=shape, **node.attrs)
    points = e.pad(e.squeeze(merged(e, points, 1, rank), [0]), {-1: (0, 1)}, value=1.0)
    dy = merged(e, full(e, dy, y, spatial), len(dy.shape) - 1 - rank, rank)
    return e.matmul(e.transpose(dy, [1, 0]), points)
