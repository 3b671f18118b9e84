"""Attention heads: axes of their own, or packed into the last one."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter


def split_heads(e: Emitter, x: gs.Tensor, heads: int) -> gs.Tensor:
    """(..., T, heads * D) as (..., heads, T, D)."""
    width = x.shape[-1] // heads
    sizes = [*(e.dim(x, k - len(x.shape)) for k in range(len(x.shape) - 1)), e.ints(heads, width)]
    return e.transpose(e.reshape(x, [*x.shape[:-1], heads, width], sizes), (1, 0, 2))


def merge_heads(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    """(..., heads, T, D) as (..., T, heads * D)."""
    x = e.transpose(x, (1, 0, 2))
    *front, heads, width = x.shape
    sizes = [*(e.dim(x, k - len(x.shape)) for k in range(len(front))), e.ints(heads * width)]
    return e.reshape(x, [*front, heads * width], sizes)


def repeat_heads(e: Emitter, x: gs.Tensor, heads: int) -> gs.Tensor:
    """(N, K, T, D) as (N, heads, T, D), each of the K heads for as many of the query's."""
    own = x.shape[1]
    if own == heads:
        return x
    times = heads // own
    sizes = [e.dim(x, k) for k in range(-4, 0)]
    apart = e.unsqueeze(x, [2])
    target = e.concat([*sizes[:2], e.ints(times), *sizes[2:]], -1)
    n, _, *rest = x.shape
    copies = e.op("Expand", apart, target, shape=[n, own, times, *rest])
    return e.reshape(copies, [n, heads, *rest], [sizes[0], e.ints(heads), *sizes[2:]])
