"""Normalisations and softmax."""

from __future__ import annotations

import math

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead, sum_over
from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


def _per_channel(e: Emitter, value: gs.Tensor, rank: int) -> gs.Tensor:
    """A (C,) tensor as (C, 1, ..., 1), to broadcast against (N, C, ...)."""
    return e.unsqueeze(value, range(1, rank - 1))


@vjp("BatchNormalization")
def batch_normalization(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor) -> gs.Tensor:
    """One factor a channel, scale / sqrt(variance + epsilon), which the runtime folds."""
    if node.attrs.get("training_mode", 0):
        raise UnsupportedOperatorError(
            f"{describe(node)} normalises by the statistics of the batch it is fed, which has no "
            f"derivative here; export the model in evaluation mode"
        )
    x, scale, _, _, variance = node.inputs[:5]
    epsilon = node.attrs.get("epsilon", 1e-5)
    factor = e.div(scale, e.unary("Sqrt", e.add(variance, epsilon)))
    return e.mul(dys[0], e.cast(_per_channel(e, factor, len(x.shape)), x.dtype))


def _normalized(
    e: Emitter, x: gs.Tensor, dxhat: gs.Tensor, axes: list[int], epsilon: float
) -> gs.Tensor:
    """dx of xhat = (x - mean) / sqrt(var + eps) over `axes`, the statistics computed again.

    dx = r (dxhat - mean(dxhat) - xhat mean(dxhat xhat)) with r = 1 / sqrt(var + eps). The means
    are over all of `axes`, so a lazy dxhat is right as it is.
    """
    centred = e.sub(x, e.reduce("ReduceMean", x, axes))
    variance = e.reduce("ReduceMean", e.mul(centred, centred), axes)
    r = e.unary("Reciprocal", e.unary("Sqrt", e.add(variance, epsilon)))
    xhat = e.mul(centred, r)
    long = [axis for axis in axes if dxhat.shape[axis] != 1]
    mean = e.reduce("ReduceMean", dxhat, long)
    slope = e.reduce("ReduceMean", e.mul(dxhat, xhat), axes)
    return e.mul(r, e.sub(e.sub(dxhat, mean), e.mul(xhat, slope)))


@vjp("LayerNormalization")
def layer_normalization(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor) -> gs.Tensor:
    x, scale = node.inputs[:2]
    rank = len(x.shape)
    axes = list(range(node.attrs.get("axis", -1) % rank - rank, 0))
    return _normalized(e, x, e.mul(dys[0], scale), axes, node.attrs.get("epsilon", 1e-5))


@vjp("InstanceNormalization")
def instance_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, scale = node.inputs[:2]
    rank = len(x.shape)
    dxhat = e.mul(dy, _per_channel(e, scale, rank))
    return _normalized(e, x, dxhat, list(range(2 - rank, 0)), node.attrs.get("epsilon", 1e-5))


@vjp("GroupNormalization")
def group_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Normalised over each group of channels; the scale is one a group (opset 18) or a channel."""
    x, scale = node.inputs[:2]
    rank, groups = len(x.shape), node.attrs["num_groups"]
    if e.opset < 21:
        repeats = x.shape[1] // groups
        scale = e.expand(e.unsqueeze(scale, [1]), gs.Variable("", shape=[groups, repeats]))
        scale = e.reshape(scale, [x.shape[1]])
    dxhat = e.mul(full(e, dy, x), _per_channel(e, scale, rank))
    grouped = _by_group(e, x, groups)
    epsilon = node.attrs.get("epsilon", 1e-5)
    dx = _normalized(e, grouped, _by_group(e, dxhat, groups, lead(dy, x)), [-1], epsilon)
    return e.reshape_like(dx, x, lead(dy, x))


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
    return _normalized(e, x, dy, axes, 1e-9)


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
    dy = full(e, dy, x, [1 - len(x.shape)])
    axis = 1 - len(x.shape)
    near = _sum_of_neighbours(e, e.mul(x, x), axis, before, after)
    d = e.add(e.mul(near, alpha / size), bias)
    direct = e.mul(dy, e.pow(d, -beta))
    shared = _sum_of_neighbours(e, e.div(e.mul(direct, x), d), axis, after, before)
    return e.sub(direct, e.mul(e.mul(x, shared), 2 * alpha * beta / size))


def _sum_of_neighbours(e: Emitter, x: gs.Tensor, axis: int, before: int, after: int) -> gs.Tensor:
    """Along a negative axis of known length, the sum from `before` in front to `after` behind."""
    length = x.shape[axis]
    padded = e.pad(x, {axis: (before, after)})
    total = e.slice(padded, axis, 0, length)
    for start in range(1, before + after + 1):
        total = e.add(total, e.slice(padded, axis, start, start + length))
    return total


@vjp("RMSNormalization")
def rms_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = scale x r with r = 1 / sqrt(mean(x^2) + eps): dx = r (d - x r^2 mean(d x))."""
    x, scale = node.inputs[:2]
    rank = len(x.shape)
    axes = list(range(node.attrs.get("axis", -1) % rank - rank, 0))
    d = e.mul(dy, scale)
    square = e.reduce("ReduceMean", e.mul(x, x), axes)
    r = e.unary("Reciprocal", e.unary("Sqrt", e.add(square, node.attrs.get("epsilon", 1e-5))))
    slope = e.mul(e.mul(r, r), e.reduce("ReduceMean", e.mul(d, x), axes))
    return e.mul(r, e.sub(d, e.mul(x, slope)))


def _softmax_axes(e: Emitter, node: gs.Node) -> list[int]:
    """One axis from opset 13 on; before, all axes from `axis` to the last."""
    rank = len(node.outputs[0].shape)
    if e.opset >= 13:
        return [node.attrs.get("axis", -1) % rank - rank]
    return list(range(node.attrs.get("axis", 1) % rank - rank, 0))


@vjp("Softmax")
def softmax(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dx = y (dy - sum(dy y))."""
    y = node.outputs[0]
    total = e.reduce("ReduceSum", e.mul(dy, y), _softmax_axes(e, node))
    return e.mul(y, e.sub(dy, total))


@vjp("LogSoftmax")
def log_softmax(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dx = dy - exp(y) sum(dy)."""
    y = node.outputs[0]
    total = sum_over(e, dy, y, _softmax_axes(e, node))
    return e.sub(dy, e.mul(e.unary("Exp", y), total))


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
    return e.div(e.sub(dy, e.mul(unit, total)), norm)
