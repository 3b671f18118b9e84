"""Pooling by averages and norms: each window shares its cotangent out."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import fold, full, unfold
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.structure import repeat, spread
from onnxcam.autodiff.rules.window import (
    Window,
    as_tensor,
    crop,
    kernel_of,
    minus,
    pad,
    skipped,
    window_of,
)
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter


@vjp("GlobalAveragePool")
def global_average_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dy / n, left at (N, C, 1, 1)."""
    x = node.inputs[0]
    return e.div(dy, e.size(x, range(2 - len(x.shape), 0)))


@vjp("AveragePool")
def average_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Every position gets dy / (size of the window) from each window that it lies in."""
    x, y = node.inputs[0], node.outputs[0]
    window = window_of(e, node, kernel_of(node))
    if list(y.shape[2:]) == [1] * window.rank and _covers_all(x, window):
        return _per_window(e, node, dy, window)
    whole = full(e, dy, y, range(-window.rank, 0))
    whole = fold(e, _per_window(e, node, whole, window), y)
    if _is_tiling(x, window):
        return unfold(e, repeat(e, whole, window.kernel), dy, x)
    return unfold(e, _window_sums(e, whole, x, window), dy, x)


def _covers_all(x: gs.Tensor, window: Window) -> bool:
    """Whether a single window position sees the whole input."""
    return window.pads is not None and all(
        isinstance(size, int) and extent - begin >= size and dilation == 1
        for size, extent, begin, dilation in zip(
            x.shape[2:], window.extents, window.pads[0], window.dilations, strict=True
        )
    )


def _is_tiling(x: gs.Tensor, window: Window) -> bool:
    """Whether the windows lie edge to edge and cover the input exactly."""
    return (
        window.kernel == window.strides
        and window.pads == ([0] * window.rank, [0] * window.rank)
        and all(d == 1 for d in window.dilations)
        and is_static(x.shape[2:])
        and all(s % k == 0 for s, k in zip(x.shape[2:], window.kernel, strict=True))
    )


def _per_window(e: Emitter, node: gs.Node, dy: gs.Tensor, window: Window) -> gs.Tensor:
    """dy divided by how many values each window averages."""
    include = node.attrs.get("count_include_pad", 0)
    padded = window.pads is None or any([*window.pads[0], *window.pads[1]])
    if (include or not padded) and not _may_overhang(node, window):
        return e.mul(dy, 1 / math.prod(window.kernel))
    known = np.ones([1] * window.rank)
    for k in range(window.rank):
        counts = _counts(e, node, window, k, dy.dtype)
        if isinstance(counts, np.ndarray):
            known = known * counts.reshape([-1 if a == k else 1 for a in range(window.rank)])
        else:
            dy = e.div(dy, e.unsqueeze(counts, range(1, window.rank - k)))
    return e.mul(dy, e.constant(1 / known, dy.dtype))


def _may_overhang(node: gs.Node, window: Window) -> bool:
    """Whether the last window may reach beyond the padding.

    It does so in `ceil_mode`, and where a dilated window is longer than the padded input.
    """
    sizes = [*node.inputs[0].shape[2:], *node.outputs[0].shape[2:]]
    if window.pads is None or not is_static(sizes):
        dilated = any(dilation != 1 for dilation in window.dilations)
        return dilated or bool(node.attrs.get("ceil_mode", 0))
    begins, ends = window.pads
    return any(
        (sizes[window.rank + k] - 1) * stride + window.extents[k] > sizes[k] + begins[k] + ends[k]
        for k, stride in enumerate(window.strides)
    )


def _counts(
    e: Emitter, node: gs.Node, window: Window, k: int, dtype: np.dtype
) -> np.ndarray | gs.Tensor:
    """How many taps of each window along spatial axis k count: an array, or emitted."""
    x, y = node.inputs[0], node.outputs[0]
    axis = k - window.rank
    size, length = x.shape[axis], y.shape[axis]
    include = node.attrs.get("count_include_pad", 0)
    taps = np.arange(window.kernel[k]) * window.dilations[k]
    begin, end = window.begins[k], window.ends[k]
    if isinstance(begin, int) and isinstance(end, int) and is_static([size, length]):
        first, last = (-begin, size + end) if include else (0, size + min(end, 0))
        places = np.arange(length)[:, None] * window.strides[k] - begin + taps
        return ((places >= first) & (places < last)).sum(axis=1)
    begin_t = as_tensor(e, begin)
    number = e.squeeze(e.dim(y, axis), [0])
    zero, one = e.constant(0, np.int64), e.constant(1, np.int64)
    index = e.op("Range", zero, number, one, shape=[length])
    starts = e.unsqueeze(e.sub(e.mul(index, window.strides[k]), begin_t), [1])
    places_t = e.add(starts, e.constant(taps[None], np.int64))
    after = minus(e, e.dim(x, axis), minus(e, 0, end) if include else skipped(e, end))
    first_t = e.sub(e.unary("Neg", begin_t), 1) if include else e.ints(-1)
    counted = e.logical_and(e.greater(places_t, first_t), e.less(places_t, after))
    return e.reduce("ReduceSum", e.cast(counted, dtype), [-1], keepdims=False)


def _window_sums(e: Emitter, dy: gs.Tensor, x: gs.Tensor, window: Window) -> gs.Tensor:
    """Sum of dy over the windows that reach each position of x.

    The window is the pooling's own, turned round; `AveragePool` times its size is the fastest
    sum that there is. It accepts pads inside the kernel only, so the others are put by hand.
    """
    rank = window.rank
    for k, stride in enumerate(window.strides):
        dy = spread(e, dy, k - rank, stride)
    reach = [extent - 1 for extent in window.extents]
    padding = window.pads if is_static([*x.shape[2:], *dy.shape[2:]]) else None
    if padding is not None:
        front = [r - b for r, b in zip(reach, padding[0], strict=True)]
        back = [
            size - length - f + r
            for size, length, f, r in zip(x.shape[2:], dy.shape[2:], front, reach, strict=True)
        ]
        dims: Shape = list(x.shape[2:])
    else:
        front = back = reach
        dims = [None] * rank
    own = [_own_pad(f, r, d) for f, r, d in zip(front, reach, window.dilations, strict=True)]
    own += [_own_pad(b, r, d) for b, r, d in zip(back, reach, window.dilations, strict=True)]
    dy = e.pad(dy, {k - rank: (front[k] - own[k], back[k] - own[rank + k]) for k in range(rank)})
    dilated = any(d != 1 for d in window.dilations)
    dx = dy
    if math.prod(window.kernel) > 1:
        # The factor stands between the two: ONNX Runtime merges a Pad into the pool behind it,
        # and then refuses what it made.
        dx = e.op(
            "AveragePool",
            e.mul(dy, float(math.prod(window.kernel))),
            shape=[*dy.shape[:2], *dims],
            kernel_shape=window.kernel,
            pads=own,
            dilations=window.dilations if dilated else None,
            count_include_pad=1,
        )
    return _without_skipped(e, crop(e, dx, x, window) if padding is None else dx, window)


def _without_skipped(e: Emitter, dx: gs.Tensor, window: Window) -> gs.Tensor:
    """Zeros where a negative padding at the end leaves values out, though a window covers them."""
    for k, end in enumerate(window.ends):
        if window.kernel[k] < window.strides[k] and window.dilations[k] > 1:
            behind = skipped(e, end)
            dx = pad(e, dx, {k - window.rank: (0, minus(e, 0, behind))})
            dx = pad(e, dx, {k - window.rank: (0, behind)})
    return dx


def _own_pad(amount: int, reach: int, dilation: int) -> int:
    """The part of a pad that AveragePool takes itself: none, or all of it."""
    return amount if dilation == 1 and 0 <= amount <= reach else 0


@vjp("LpPool")
def lp_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = (sum |x|^p)^(1/p): dx = sign(x) |x|^(p-1) times the sum of dy y^(1-p) over windows."""
    x, y = node.inputs[0], node.outputs[0]
    window = window_of(e, node, kernel_of(node))
    weighted = full(e, _by_norm(e, node, dy), y, range(1 - len(y.shape), 0))
    summed = _window_sums(e, fold(e, weighted, y), x, window)
    return e.mul(unfold(e, summed, weighted, x), _power(e, node, x))


@vjp("GlobalLpPool")
def global_lp_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(_by_norm(e, node, dy), _power(e, node, node.inputs[0]))


def _by_norm(e: Emitter, node: gs.Node, dy: gs.Tensor) -> gs.Tensor:
    """dy y^(1-p), and 0 where y is."""
    y, p = node.outputs[0], node.attrs.get("p", 2)
    positive = e.greater(y, 0)
    return e.where(positive, e.mul(dy, e.pow(e.where(positive, y, 1), 1 - p)), 0)


def _power(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    """sign(x) |x|^(p-1)."""
    p = node.attrs.get("p", 2)
    if p == 2:
        return x
    return e.mul(e.unary("Sign", x), e.pow(e.unary("Abs", x), p - 1))
