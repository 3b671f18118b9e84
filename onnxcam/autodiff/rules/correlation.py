"""The gradient of a convolution with respect to its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_graphsurgeon as gs

from onnxcam.autodiff.rules.window import Window, with_pads
from onnxcam.graph.dims import Dim, Shape
from onnxcam.graph.emitter import Emitter


def correlation(
    e: Emitter, x: gs.Tensor, y: gs.Tensor, weights: Sequence[int], group: int, window: Window
) -> gs.Tensor:
    """sum over n and o of y[n, q, o] x[n, p, o stride + k dilation - begin].

    x is (N, P, *size) and y (N, Q, *length), p and q are channels of the same group, and the
    result has the shape of the weights, (Q, P / group, *kernel). It is a convolution again: over
    x, with y as weights, channels and batch having changed places, and so stride and dilation.
    One of x and y may have a leading axis; the result has it then.
    """
    per_x, per_y, kernel = weights[1], weights[0] // group, list(weights[2:])
    lead_x, lead_y = _leading(x, window), _leading(y, window)
    x, pads = with_pads(e, x, window)
    # Grouped: (leading, N, group, channels). A group's channels of x are the batch.
    over = _merged(e, _grouped(e, x, group, per_x, window), (0, 3, 2, 1), 2)
    with_ = _merged(e, _grouped(e, y, group, per_y, window), (2, 0, 3, 1), 3)
    dw = e.op(
        "Conv",
        over,
        with_,
        shape=[over.shape[0], with_.shape[0], *[None] * window.rank],
        pads=pads,
        strides=window.dilations,
        dilations=window.strides,
        group=group,
    )
    for k, taps in enumerate(kernel):  # a remainder that no window reaches lets it slide further
        dw = e.slice(dw, k - window.rank, 0, taps)
    dw = e.reshape(dw, [lead_x, per_x, group, lead_y, per_y, *kernel])
    dw = e.transpose(dw, [0, 3, 2, 4, 1, *range(5, 5 + window.rank)])
    leading = [lead_x * lead_y] if len(x.shape) != len(y.shape) else []
    return e.reshape(dw, [*leading, *weights])


def _leading(t: gs.Tensor, window: Window) -> int:
    """Length of the leading axis; 1 without one."""
    return int(t.shape[0]) if len(t.shape) > window.rank + 2 else 1


def _grouped(e: Emitter, t: gs.Tensor, group: int, channels: int, window: Window) -> gs.Tensor:
    """([leading,] N, C, *size) as (leading, N, group, C / group, *size)."""
    batch = -window.rank - 2
    spatial = range(-window.rank, 0)
    dims = [_leading(t, window), t.shape[batch], group, channels, *(t.shape[a] for a in spatial)]
    sizes = [e.ints(dims[0]), e.dim(t, batch), e.ints(group), e.ints(channels)]
    return e.reshape(t, dims, [*sizes, *(e.dim(t, axis) for axis in spatial)])


def _merged(e: Emitter, t: gs.Tensor, order: Sequence[int], count: int) -> gs.Tensor:
    """The first four axes in another order, the first `count` of them as one, the others too."""
    t = e.transpose(t, [*order, *range(4, len(t.shape))])
    groups = [list(range(count)), list(range(count, 4)), *([k] for k in range(4, len(t.shape)))]
    dims: Shape = [_product([t.shape[k] for k in axes]) for axes in groups]
    return e.reshape(t, dims, [_size(e, t, axes) for axes in groups])


def _product(dims: Sequence[Dim]) -> Dim:
    numbers = [dim for dim in dims if isinstance(dim, int)]
    symbols = [dim for dim in dims if not isinstance(dim, int)]
    if not symbols:
        return math.prod(numbers)
    return symbols[0] if math.prod(numbers) == len(symbols) == 1 else None


def _size(e: Emitter, t: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
    """The product of some dimensions, at most one of them unknown, as a 1-D tensor."""
    dims = [t.shape[axis] for axis in axes]
    number = math.prod(dim for dim in dims if isinstance(dim, int))
    unknown = [e.dim(t, axis - len(t.shape)) for axis in axes if not isinstance(t.shape[axis], int)]
    if not unknown:
        return e.ints(number)
    return unknown[0] if number == 1 else e.mul(unknown[0], number)
