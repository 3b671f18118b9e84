"""Pooling of regions of interest, as detectors of two stages do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.sampling import (
    clipped,
    length,
    linear_taps,
    merged,
    numbers,
    picked,
)
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@dataclass(frozen=True)
class _Samples:
    """Where the bins of R regions are sampled along one axis.

    `at` are positions in pixels, (R, bins, K); `taken` says which of the K there are, None
    meaning all; `count` is how many that is, a number or (R, 1).
    """

    at: gs.Tensor
    taken: gs.Tensor | None
    count: gs.Tensor | int


@lowering("RoiAlign", wrt=(0, 1))
def roi_align(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Bilinear samples, evenly spaced in every bin; their mean or maximum."""
    rows, columns = _samples(e, node, 0), _samples(e, node, 1)
    x, _, batch = node.inputs
    if node.attrs.get("mode", "avg") == "avg":
        return _mean(e, x, batch, rows, columns)
    # Not the interpolated value's maximum: the operator is defined by the weighted pixels'.
    return _largest(e, node, batch, _taps(e, rows, x, -2), _taps(e, columns, x, -1))


def _samples(e: Emitter, node: gs.Node, axis: int) -> _Samples:
    """Samples along height (axis 0) or width (1)."""
    rois = node.inputs[1]
    bins = int(node.attrs.get(("output_height", "output_width")[axis], 1))
    coordinates = "half_pixel" if e.opset >= 16 else "output_half_pixel"
    half = node.attrs.get("coordinate_transformation_mode", coordinates) == "half_pixel"
    corners = e.mul(rois, node.attrs.get("spatial_scale", 1.0))
    if half:
        corners = e.sub(corners, 0.5)
    start, end = (e.slice(corners, -1, k, k + 1) for k in (1 - axis, 3 - axis))
    extent = e.sub(end, start)
    if not half:  # a region is one pixel at least
        extent = e.op("Max", extent, e.constant(1, rois.dtype), shape=list(extent.shape))
    size = e.div(extent, bins)
    ratio = int(node.attrs.get("sampling_ratio", 0))
    taken: gs.Tensor | None = None
    count: gs.Tensor | int = ratio
    index: gs.Tensor = e.constant(np.arange(ratio), rois.dtype)
    if not ratio:  # as many samples as a bin has pixels
        pixels = e.unary("Ceil", size)
        index = e.cast(_up_to_the_most(e, pixels), rois.dtype)
        taken = e.unsqueeze(e.less(index, pixels), [1])
        count = e.op("Max", pixels, e.constant(1, rois.dtype), shape=list(pixels.shape))
    within = e.mul(e.add(index, 0.5), e.div(size, count))  # (R, K)
    first = e.add(start, e.mul(size, e.constant(np.arange(bins), rois.dtype)))  # (R, bins)
    return _Samples(e.add(e.unsqueeze(first, [2]), e.unsqueeze(within, [1])), taken, count)


def _up_to_the_most(e: Emitter, counts: gs.Tensor) -> gs.Tensor:
    """0, 1, 2, ... up to the largest of some counts (R, bins), at least 0."""
    one = e.constant([1], counts.dtype)  # stands for no region at all, too
    most = e.op("ReduceMax", e.concat([merged(e, counts, 0, 2), one], -1), shape=[1], keepdims=1)
    return numbers(e, e.cast(most, np.int64), None)


# -- the mean, for which an axis's samples can be summed before the other's ---------------------


def _mean(
    e: Emitter, x: gs.Tensor, batch: gs.Tensor, rows: _Samples, columns: _Samples
) -> gs.Tensor:
    """y[r] = A[r] x[b[r]] B[r]^T, and what counts from other pictures of the batch is nothing."""
    down, across = _shares(e, rows, x, -2), _shares(e, columns, x, -1)
    count, channels, height = (e.dim(x, axis) for axis in (-4, -3, -2))
    regions, bins = e.dim(across, -3), int(across.shape[1])
    own = e.equal(e.unsqueeze(numbers(e, count, x.shape[0]), [1]), e.cast(batch, np.int64))
    own = e.unsqueeze(e.cast(own, x.dtype), [2, 3])  # (N, R, 1, 1)
    every = e.transpose(merged(e, e.mul(own, across), 1, 2), [0, 2, 1])  # (N, W, R bins)
    lines = merged(e, merged(e, e.transpose(x, [1, 2, 0, 3]), 0, 2), 1, 2)  # (C H, N W)
    shares = e.matmul(lines, merged(e, every, 0, 2))
    dims = [x.shape[1], x.shape[2], across.shape[0], bins]
    shares = e.reshape(shares, dims, [channels, height, regions, e.ints(bins)])
    return e.matmul(e.unsqueeze(down, [1]), e.transpose(shares, [2, 0, 1, 3]))


def _shares(e: Emitter, samples: _Samples, x: gs.Tensor, axis: int) -> gs.Tensor:
    """What each position of an axis counts in the mean of each bin, (R, bins, length)."""
    size = length(e, x, axis)
    at = e.unsqueeze(samples.at, [3])
    places = e.cast(numbers(e, e.dim(x, axis), x.shape[axis]), x.dtype)
    distance = e.unary("Abs", e.sub(clipped(e, at, size), places))
    weights = e.unary("Relu", e.sub(1, distance))
    counts = _inside(e, samples.at, size)
    if samples.taken is not None:
        counts = e.logical_and(counts, samples.taken)
    weights = e.where(e.unsqueeze(counts, [3]), weights, 0)
    total = e.reduce("ReduceSum", weights, [-2], keepdims=False)
    count = samples.count
    return e.div(total, count if isinstance(count, int) else e.unsqueeze(count, [2]))


def _inside(e: Emitter, at: gs.Tensor, size: gs.Tensor) -> gs.Tensor:
    """Which positions are on the picture, up to one pixel beyond it."""
    above, below = e.less(at, -1), e.greater(at, size)
    return e.logical_and(e.unary("Not", above), e.unary("Not", below))


# -- the maximum ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Candidates:
    """Pixels along one axis whose maximum is taken: places, weights, and whether there is one.

    All are (R, bins, K), or broadcast to it.
    """

    places: gs.Tensor
    weights: gs.Tensor
    taken: gs.Tensor


def _taps(e: Emitter, samples: _Samples, x: gs.Tensor, axis: int) -> _Candidates:
    """The two pixels around each sample, which count nothing where the sample is beyond x."""
    size = length(e, x, axis)
    taps = linear_taps(e, clipped(e, e.unsqueeze(samples.at, [2]), size))
    inside = e.cast(_inside(e, samples.at, size), x.dtype)
    weights = e.mul(taps.weights, e.unsqueeze(inside, [2]))
    taken = samples.taken
    both = e.constant(np.ones([1, 1, 1], bool)) if taken is None else e.concat([taken, taken], -1)
    return _Candidates(
        clipped(e, merged(e, taps.positions, 2, 2), size),
        merged(e, weights, 2, 2),
        both,
    )


@lowering("MaxRoiPool", wrt=(0,), ignored=(1,))
def max_roi_pool(e: Emitter, node: gs.Node) -> gs.Tensor:
    """The maximum of the pixels in each bin, whose edges are rounded outwards."""
    rois = node.inputs[1]
    corners = e.mul(rois, node.attrs.get("spatial_scale", 1.0))
    halves_up = e.unary("Floor", e.add(e.unary("Abs", corners), 0.5))
    corners = e.mul(e.unary("Sign", corners), halves_up)
    batch = e.squeeze(e.slice(rois, -1, 0, 1), [-1])
    rows, columns = (_bins(e, node, corners, axis) for axis in (0, 1))
    return _largest(e, node, batch, rows, columns)


def _bins(e: Emitter, node: gs.Node, corners: gs.Tensor, axis: int) -> _Candidates:
    """The pixels of each bin along height (axis 0) or width (1); K is the longest's length."""
    x, dtype = node.inputs[0], corners.dtype
    bins = int(node.attrs["pooled_shape"][axis])
    size = length(e, x, axis - 2)
    start, end = (e.slice(corners, -1, k, k + 1) for k in (2 - axis, 4 - axis))
    extent = e.add(e.sub(end, start), 1)
    extent = e.op("Max", extent, e.constant(1, dtype), shape=list(extent.shape))
    step = e.div(extent, bins)
    edges = [
        e.add(
            e.unary(rounding, e.mul(step, e.constant(np.arange(first, first + bins), dtype))), start
        )
        for rounding, first in (("Floor", 0), ("Ceil", 1))
    ]
    first, last = (clipped(e, edge, e.add(size, 1)) for edge in edges)  # last is the one behind
    offsets = e.cast(_up_to_the_most(e, e.sub(last, first)), dtype)
    places = e.add(e.unsqueeze(first, [2]), offsets)
    taken = e.less(places, e.unsqueeze(last, [2]))
    return _Candidates(clipped(e, places, size), e.constant(np.ones([1, 1, 1]), dtype), taken)


def _largest(
    e: Emitter, node: gs.Node, batch: gs.Tensor, rows: _Candidates, columns: _Candidates
) -> gs.Tensor:
    """The largest of a bin's candidates, 0 where it has none."""
    if e.opset < 16:
        raise UnsupportedOperatorError(
            f"{describe(node)}, opset {e.opset}, takes maxima over regions, which have no "
            f"derivative here before opset 16; convert the model to a newer opset"
        )
    x = node.inputs[0]
    channels, height, width = (e.dim(x, axis) for axis in (-3, -2, -1))

    def combined(
        op: Callable[[gs.Tensor, gs.Tensor], gs.Tensor], down: gs.Tensor, across: gs.Tensor
    ) -> gs.Tensor:
        return op(e.unsqueeze(down, [2, 4]), e.unsqueeze(across, [1, 3]))

    picture = e.unsqueeze(e.mul(e.cast(batch, np.int64), e.mul(height, width)), [1, 2])
    row = e.add(e.mul(e.cast(rows.places, np.int64), width), picture)
    index = combined(e.add, row, e.cast(columns.places, np.int64))  # (R, bins, bins, K, K)
    flat = e.unsqueeze(merged(e, index, 0, 5), [0, 1])
    values = picked(e, e.unsqueeze(merged(e, e.transpose(x, [1, 0, 2, 3]), 1, 3), [0]), flat)
    sizes = [channels, *(e.dim(index, axis) for axis in range(-5, 0))]
    values = e.reshape(values, [x.shape[1], *index.shape], sizes)
    values = e.mul(values, combined(e.mul, rows.weights, columns.weights))
    lowest = float(np.finfo(np.float32).min)
    values = e.where(combined(e.logical_and, rows.taken, columns.taken), values, lowest)
    largest = e.reduce("ReduceMax", values, [-2, -1], keepdims=False)
    return e.transpose(e.where(e.greater(largest, lowest), largest, 0), [1, 0, 2, 3])
