"""Normalisations by the mean and variance of the tensor itself."""

from __future__ import annotations

import math
from functools import reduce

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead, sum_per_channel, unbroadcast
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.sums import stored_product
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter


def per_channel(e: Emitter, value: gs.Tensor, rank: int) -> gs.Tensor:
    """A (C,) tensor as (C, 1, ..., 1), to broadcast against (N, C, ...)."""
    return e.unsqueeze(value, range(1, rank - 1))


def _centred(e: Emitter, t: gs.Tensor, axes: list[int]) -> gs.Tensor:
    """t - mean(t); the mean is over all of `axes`, so a lazy t is right as it is."""
    return e.sub(t, e.reduce("ReduceMean", t, [axis for axis in axes if t.shape[axis] != 1]))


def _statistics(
    e: Emitter, x: gs.Tensor, axes: list[int], epsilon: float
) -> tuple[gs.Tensor, gs.Tensor]:
    """x - mean and r = 1 / sqrt(var + eps) over `axes`, computed again."""
    centred = _centred(e, x, axes)
    variance = e.reduce("ReduceMean", e.mul(centred, centred), axes)
    return centred, e.unary("Reciprocal", e.unary("Sqrt", e.add(variance, epsilon)))


def _standardized(
    e: Emitter, x: gs.Tensor, axes: list[int], epsilon: float
) -> tuple[gs.Tensor, gs.Tensor]:
    """xhat = (x - mean) r, and r."""
    centred, r = _statistics(e, x, axes, epsilon)
    return e.mul(centred, r), r


def _through_statistics(
    e: Emitter, x: gs.Tensor, d: gs.Tensor, axes: list[int], epsilon: float
) -> gs.Tensor:
    """dx = r (d - c r^2 mean(d c)) from d = dxhat - mean(dxhat), where c = x - mean(x)."""
    centred, r = _statistics(e, x, axes, epsilon)
    slope = e.mul(e.mul(r, r), e.reduce("ReduceMean", e.mul(d, centred), axes))
    return e.mul(r, e.sub(d, e.mul(centred, slope)))


def _centred_product(e: Emitter, dy: gs.Tensor, scale: gs.Tensor, axes: list[int]) -> gs.Tensor:
    """dy scale - mean(dy scale).

    Both steps are linear. Where dy is a product with a stored matrix they are applied to that,
    which a runtime does once.
    """
    factors = stored_product(e, dy, "MatMul") if axes == [-1] else None
    if factors is None or len(factors[1].shape) != 2:
        return _centred(e, e.mul(dy, scale), axes)
    g, weights = factors
    return e.matmul(g, _centred(e, e.mul(weights, scale), axes))


def _trailing_axes(node: gs.Node) -> list[int]:
    """The axes from `axis` to the last."""
    rank = len(node.inputs[0].shape)
    return list(range(node.attrs.get("axis", -1) % rank - rank, 0))


@vjp("LayerNormalization", wrt=(0, 1, 2))
def layer_normalization(
    e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None
) -> gs.Tensor | None:
    """y = xhat scale + bias; the other outputs are the mean, and r with dr / dx = -xhat r^2 / n."""
    x, scale = node.inputs[:2]
    dy, dmean, dr = (*dys, None, None)[:3]
    axes, epsilon = _trailing_axes(node), node.attrs.get("epsilon", 1e-5)
    if i > 0 and dy is None:
        return None
    if i == 2:
        return unbroadcast(e, dy, node.inputs[2], x)
    if i == 1:
        return unbroadcast(e, e.mul(dy, _standardized(e, x, axes, epsilon)[0]), scale, x)
    parts = []
    if dy is not None:
        parts.append(_through_statistics(e, x, _centred_product(e, dy, scale, axes), axes, epsilon))
    if dmean is not None:
        parts.append(e.div(dmean, e.size(x, axes)))
    if dr is not None:
        xhat, r = _standardized(e, x, axes, epsilon)
        factor = e.div(e.mul(dr, e.mul(r, r)), e.size(x, axes))
        parts.append(e.unary("Neg", e.mul(xhat, factor)))
    return reduce(e.add, parts)


@vjp("InstanceNormalization", wrt=(0, 1, 2))
def instance_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, scale = node.inputs[:2]
    rank = len(x.shape)
    axes, epsilon = list(range(2 - rank, 0)), node.attrs.get("epsilon", 1e-5)
    if i == 0:
        dxhat = e.mul(dy, per_channel(e, scale, rank))
        return _through_statistics(e, x, _centred(e, dxhat, axes), axes, epsilon)
    if i == 1:
        dy = e.mul(dy, _standardized(e, x, axes, epsilon)[0])
    return sum_per_channel(e, dy, x)


@vjp("GroupNormalization", wrt=(0, 1, 2))
def group_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Normalised over each group of channels; the scale is one a group (opset 18) or a channel."""
    x, scale = node.inputs[:2]
    rank, groups, epsilon = len(x.shape), node.attrs["num_groups"], node.attrs.get("epsilon", 1e-5)
    grouped, per_group = _by_group(e, x, groups), e.opset < 21
    if i == 0:
        if per_group:
            repeats = x.shape[1] // groups
            scale = e.expand(e.unsqueeze(scale, [1]), gs.Variable("", shape=[groups, repeats]))
            scale = e.reshape(scale, [x.shape[1]])
        dxhat = e.mul(full(e, dy, x), per_channel(e, scale, rank))
        dxhat = _by_group(e, dxhat, groups, lead(dy, x))
        dx = _through_statistics(e, grouped, _centred(e, dxhat, [-1]), [-1], epsilon)
        return e.reshape_like(dx, x, lead(dy, x))
    if i == 1:
        xhat, _ = _standardized(e, grouped, [-1], epsilon)
        dy = e.mul(dy, e.reshape_like(xhat, x))
    total = sum_per_channel(e, dy, x)
    if not per_group:
        return total
    parts = e.reshape(total, [*total.shape[:-1], groups, x.shape[1] // groups])
    return e.reduce("ReduceSum", parts, [-1], keepdims=False)


def _by_group(e: Emitter, x: gs.Tensor, groups: int, leading: int = 0) -> gs.Tensor:
    """(..., N, C, *size) as (..., N, groups, everything else)."""
    front = leading + 1
    rest = x.shape[front:]
    dims: Shape = [*x.shape[:front], groups, math.prod(rest) // groups if is_static(rest) else None]
    sizes = [*(e.dim(x, k - len(x.shape)) for k in range(front)), e.ints(groups), e.ints(-1)]
    return e.reshape(x, dims, sizes)


@vjp("MeanVarianceNormalization")
def mean_variance_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x = node.inputs[0]
    rank = len(x.shape)
    axes = [axis % rank - rank for axis in node.attrs.get("axes", [0, 2, 3])]
    return _through_statistics(e, x, _centred(e, dy, axes), axes, 1e-9)


@vjp("RMSNormalization", wrt=(0, 1))
def rms_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = scale x r with r = 1 / sqrt(mean(x^2) + eps): dx = r (d - x r^2 mean(d x))."""
    x, scale = node.inputs[:2]
    axes = _trailing_axes(node)
    square = e.reduce("ReduceMean", e.mul(x, x), axes)
    r = e.unary("Reciprocal", e.unary("Sqrt", e.add(square, node.attrs.get("epsilon", 1e-5))))
    if i == 1:
        return unbroadcast(e, e.mul(dy, e.mul(x, r)), scale, x)
    d = e.mul(dy, scale)
    slope = e.mul(e.mul(r, r), e.reduce("ReduceMean", e.mul(d, x), axes))
    return e.mul(r, e.sub(d, e.mul(x, slope)))
