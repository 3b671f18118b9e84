"""Pictures read between their pixels: every value is a sum over the pixels around a position.

Positions are floats, counted in pixels along one axis, (B, 1, P). The pixels around them are
*taps*: whole positions, and what the pixel there counts, both (B, T, P). Sizes are 1-D tensors of
one element; a runtime computes beforehand what follows from sizes that it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter


@dataclass(frozen=True)
class Taps:
    """Pixels along one axis: whole positions, as floats, and their weights."""

    positions: gs.Tensor
    weights: gs.Tensor


# -- which pixels count how much --------------------------------------------------------------


def nearest_tap(e: Emitter, at: gs.Tensor) -> Taps:
    """The nearest pixel; of two, the even one."""
    return Taps(e.unary("Round", at), e.constant(np.ones([1, 1, 1]), at.dtype))


def linear_taps(e: Emitter, at: gs.Tensor) -> Taps:
    """The pixels before and behind; the slope on a pixel is that to the one behind it."""
    before = e.unary("Floor", at)
    t = e.sub(at, before)
    offsets = e.constant([[0], [1]], at.dtype)
    return Taps(e.add(before, offsets), e.concat([e.sub(1, t), t], -2))


def cubic_taps(e: Emitter, at: gs.Tensor, a: float = -0.75) -> Taps:
    """Cubic convolution over the four nearest pixels (Keys 1981)."""
    before = e.unary("Floor", at)
    t = e.sub(at, before)
    rest = e.sub(1, t)

    def near(d: gs.Tensor) -> gs.Tensor:  # (a + 2) d^3 - (a + 3) d^2 + 1 for d up to 1
        return e.add(e.mul(e.mul(d, d), e.sub(e.mul(d, a + 2), a + 3)), 1)

    def far(d: gs.Tensor) -> gs.Tensor:  # a (d^3 - 5 d^2 + 8 d - 4) for d from 1 to 2
        return e.mul(e.sub(e.mul(d, e.add(e.mul(d, e.sub(d, 5)), 8)), 4), a)

    offsets = e.constant([[-1], [0], [1], [2]], at.dtype)
    weights = [far(e.add(t, 1)), near(t), near(rest), far(e.add(rest, 1))]
    return Taps(e.add(before, offsets), e.concat(weights, -2))


def clipped(e: Emitter, at: gs.Tensor, size: gs.Tensor) -> gs.Tensor:
    """Positions moved onto the picture; nothing flows back to those at its border or beyond."""
    above = e.op("Max", e.constant(0, at.dtype), at, shape=list(at.shape))
    return e.op("Min", e.sub(size, 1), above, shape=list(at.shape))


def zero_outside(e: Emitter, taps: Taps, size: gs.Tensor) -> Taps:
    """Pixels beyond the border count nothing."""
    inside = e.equal(taps.positions, clipped(e, taps.positions, size))
    return Taps(taps.positions, e.mul(taps.weights, e.cast(inside, taps.weights.dtype)))


# -- reading them -----------------------------------------------------------------------------


def pixels(
    e: Emitter, axes: Sequence[Taps], sizes: Sequence[gs.Tensor]
) -> tuple[gs.Tensor, gs.Tensor]:
    """Indices into the flattened picture, (B, T, P), and weights: all taps of all axes combined.

    Positions beyond the border become those on it.
    """
    indices, weights = [], []
    for k, (taps, size) in enumerate(zip(axes, sizes, strict=True)):
        others = [1 + j for j in range(len(axes)) if j != k]
        on = e.cast(clipped(e, taps.positions, size), np.int64)
        indices.append(e.unsqueeze(on, others))
        weights.append(e.unsqueeze(taps.weights, others))
    index, weight = indices[0], reduce(e.mul, weights)
    for on, size in zip(indices[1:], sizes[1:], strict=True):  # in row-major order
        index = e.add(e.mul(index, e.cast(size, np.int64)), on)
    return merged(e, index, 1, len(axes)), merged(e, weight, 1, len(axes))


def picked(e: Emitter, x: gs.Tensor, index: gs.Tensor) -> gs.Tensor:
    """Pixels (B, T, P) of pictures (B, C, M), for each channel: (B, C, T, P)."""
    (_, t, p), rank = index.shape, 3
    flat = e.expand(e.unsqueeze(merged(e, index, 1, 2), [1]), x, [-2])
    shape = [*x.shape[:2], flat.shape[-1]]
    found = e.op("GatherElements", x, flat, shape=shape, axis=2)
    sizes = [e.dim(x, -3), e.dim(x, -2), e.dim(index, 1 - rank), e.dim(index, 2 - rank)]
    return e.reshape(found, [*x.shape[:2], t, p], sizes)


def sum_of_pixels(e: Emitter, x: gs.Tensor, index: gs.Tensor, weights: gs.Tensor) -> gs.Tensor:
    """Weighted sums over the taps, (B, C, P)."""
    weighted = e.mul(picked(e, x, index), e.unsqueeze(weights, [1]))
    return e.reduce("ReduceSum", weighted, [-2], keepdims=False)


# -- sizes and shapes -------------------------------------------------------------------------


def length(e: Emitter, x: gs.Tensor, axis: int) -> gs.Tensor:
    """One dimension in the element type of x."""
    return e.cast(e.dim(x, axis), x.dtype)


def numbers(e: Emitter, size: gs.Tensor, count: int | str | None) -> gs.Tensor:
    """0, 1, 2, ...: as many as `size` (int64, of one element) says, `count` where it is known."""
    if isinstance(count, int):
        return e.ints(*range(count))
    end = e.squeeze(size, [0])
    start, step = (e.constant(value, np.int64) for value in (0, 1))
    return e.op("Range", start, end, step, shape=[count])


def merged(e: Emitter, t: gs.Tensor, first: int, count: int) -> gs.Tensor:
    """`count` axes from the (non-negative) axis `first` on as one."""
    rank, last = len(t.shape), first + count
    dims = t.shape[first:last]
    sizes = [e.dim(t, axis - rank) for axis in range(rank)]
    known = prod(dims) if is_static(dims) else dims[0] if count == 1 else None
    whole = e.ints(known) if isinstance(known, int) else reduce(e.mul, sizes[first:last])
    return e.reshape(
        t, [*t.shape[:first], known, *t.shape[last:]], [*sizes[:first], whole, *sizes[last:]]
    )
