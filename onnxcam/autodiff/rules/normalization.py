"""Normalisations and softmax."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import sum_over
from onnxcam.autodiff.registry import vjp
from onnxcam.graph.emitter import Emitter


def _per_channel(e: Emitter, value: gs.Tensor, rank: int) -> gs.Tensor:
    """A (C,) tensor as (C, 1, ..., 1), to broadcast against (N, C, ...)."""
    return e.unsqueeze(value, range(1, rank - 1))


@vjp("BatchNormalization")
def batch_normalization(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor) -> gs.Tensor:
    """One factor a channel, scale / sqrt(variance + epsilon), which the runtime folds."""
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


@vjp("RMSNormalization")
def rms_normalization(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """y = scale x r with r = 1 / sqrt(mean(x^2) + eps): dx = r (d - x r^2 mean(d x))."""
    x, scale = node.inputs[:2]
    rank = len(x.shape)
    axes = list(range(node.attrs.get("axis", -1) % rank - rank, 0))
    d = e.mul(dy, scale)
    square = e.reduce("ReduceMean", e.mul(x, x), axes)
    r = e.unary(
        "Reciprocal", e.unary("Sqrt", e.add(square, node.attrs.get("epsilon", 1e-5)))
    )
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
