"""Deformable convolution: a convolution that reads the pixels of its window somewhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.sampling import (
    length,
    linear_taps,
    merged,
    numbers,
    pixels,
    sum_of_pixels,
    zero_outside,
)
from onnxcam.autodiff.rules.window import Window, kernel_of_weights, window_of
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@lowering("DeformConv", wrt=range(5))
def deform_conv(e: Emitter, node: gs.Node) -> gs.Tensor:
    """The weights times the pixels read for them (Dai et al. 2017; the mask: Zhu et al. 2019).

    Channels that share offsets and mask count as a picture of their own, `parts` of each one.
    """
    x, w, offset = node.inputs[:3]
    bias, mask = ([t if t.name else None for t in node.inputs[3:]] + [None, None])[:2]
    y, rank = node.outputs[0], len(x.shape) - 2
    window = window_of(e, node, kernel_of_weights(node))
    parts, group = (int(node.attrs.get(name, 1)) for name in ("offset_group", "group"))
    channels = _channels(node, group)
    count = int(np.prod(window.kernel))
    sizes = [length(e, x, axis) for axis in range(-rank, 0)]
    offsets = _split(e, offset, parts, [count, rank])
    taps = []
    for k, size in enumerate(sizes):
        moved = e.squeeze(e.slice(offsets, -2, k, k + 1), [-2])
        at = e.unsqueeze(merged(e, e.add(moved, _window_at(e, window, y, k)), 1, 2), [1])
        taps.append(zero_outside(e, linear_taps(e, at), size))
    pictures = _split(e, x, parts, [channels // parts])
    values = sum_of_pixels(e, pictures, *pixels(e, taps, sizes))  # (N parts, C / parts, window P)
    if mask is not None:
        values = e.mul(values, merged(e, _split(e, mask, parts, [1, count]), 2, 2))
    inner = [group, channels // group * count]
    points = merged(e, offset, 2, rank)
    dims = [x.shape[0], *inner, points.shape[-1]]
    columns = e.reshape(values, dims, [e.dim(x, 0), e.ints(*inner), e.dim(points, -1)])
    outputs = y.shape[1]
    each = outputs // group if isinstance(outputs, int) else None
    weights = e.reshape(w, [group, each, inner[1]])
    result = e.reshape_like(e.matmul(weights, columns), y)
    return result if bias is None else e.add(result, e.reshape(bias, [outputs, *[1] * rank]))


def _channels(node: gs.Node, group: int) -> int:
    """The input's, which the weights know as well."""
    x, w = node.inputs[:2]
    if isinstance(x.shape[1], int):
        return x.shape[1]
    if w.shape is not None and isinstance(w.shape[1], int):
        return w.shape[1] * group
    raise UnsupportedOperatorError(
        f"{describe(node)} has a number of channels that only the run knows, which has no "
        f"derivative here; fix the model's input size"
    )


def _split(e: Emitter, t: gs.Tensor, parts: int, inner: Sequence[int]) -> gs.Tensor:
    """(N, parts * inner, *size) as (N * parts, *inner, P)."""
    flat = merged(e, t, 2, len(t.shape) - 2)
    n, points = flat.shape[0], flat.shape[-1]
    batch = n * parts if isinstance(n, int) else n if parts == 1 else None
    sizes = [e.mul(e.dim(flat, 0), parts), e.ints(*inner), e.dim(flat, -1)]
    return e.reshape(flat, [batch, *inner, points], sizes)


def _window_at(e: Emitter, window: Window, y: gs.Tensor, axis: int) -> gs.Tensor:
    """Where a convolution reads along one axis: (1, window, P)."""
    assert window.begins is not None  # the operator has no automatic padding
    rank = window.rank
    first = e.mul(numbers(e, e.dim(y, axis - rank), y.shape[axis - rank]), window.strides[axis])
    first = e.unsqueeze(e.sub(first, window.begins[axis]), _others(axis + 2, rank + 2))
    first = merged(e, e.expand(first, y, range(-rank, 0)), 2, rank)
    steps = np.arange(window.kernel[axis]) * window.dilations[axis]
    steps = np.broadcast_to(np.expand_dims(steps, _others(axis, rank)), window.kernel)
    places = e.add(first, e.constant(steps.reshape(-1, 1), np.int64))
    return e.cast(places, y.dtype)


def _others(axis: int, rank: int) -> tuple[int, ...]:
    return tuple(a for a in range(rank) if a != axis)
