"""Normalisations by a norm: that of the neighbouring channels, and that along an axis."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.graph.emitter import Emitter


@vjp("LRN")
def local_response_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = x d^-beta, where d = bias + alpha / size sum(x^2) over neighbouring channels.

    dx = dy d^-beta - 2 alpha beta / size x sum(dy x d^(-beta-1)), the second sum over the
    channels whose neighbour x is.
    """
    x = node.inputs[0]
    size, alpha = node.attrs["size"], node.attrs.get("alpha", 1e-4)
    beta, bias = node.attrs.get("beta", 0.75), node.attrs.get("bias", 1.0)
    before, after = (size - 1) // 2, size // 2
    if isinstance(x.shape[1], int):  # farther away there are no channels
        before, after = min(before, x.shape[1]), min(after, x.shape[1])
    dy = full(e, dy, x, [1 - len(x.shape)])
    axis = 1 - len(x.shape)
    near = _sum_of_neighbours(e, e.mul(x, x), axis, before, after)
    d = e.add(e.mul(near, alpha / size), bias)
    direct = e.mul(dy, e.pow(d, -beta))
    shared = _sum_of_neighbours(e, e.div(e.mul(direct, x), d), axis, after, before)
    return e.sub(direct, e.mul(e.mul(x, shared), 2 * alpha * beta / size))


def _sum_of_neighbours(e: Emitter, x: gs.Tensor, axis: int, before: int, after: int) -> gs.Tensor:
    """Along a negative axis, the sum from `before` in front to `after` behind."""
    width = before + after
    padded = e.pad(x, {axis: (before, after)})
    total: gs.Tensor | None = None
    for start in range(width + 1):
        stop = start - width if start < width else np.iinfo(np.int64).max
        part = e.slice(padded, axis, start, stop)
        total = part if total is None else e.add(total, part)
    assert total is not None
    return total


@vjp("LpNormalization")
def lp_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = x / |x|_p: dx = (dy - u sum(dy y)) / |x|, u = y for p = 2 and sign(x) for p = 1."""
    (x,), y = node.inputs, node.outputs[0]
    rank = len(x.shape)
    axes = [node.attrs.get("axis", -1) % rank - rank]
    euclidean = node.attrs.get("p", 2) == 2
    norm = e.reduce("ReduceL2" if euclidean else "ReduceL1", x, axes)
    unit = y if euclidean else e.unary("Sign", x)
    total = e.reduce("ReduceSum", e.mul(dy, y), axes)
    some = e.greater(norm, 0)  # what is all zero stays zero
    return e.where(some, e.div(e.sub(dy, e.mul(unit, total)), e.where(some, norm, 1)), 0)
