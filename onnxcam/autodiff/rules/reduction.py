"""Reductions: the cotangent stays short along the reduced axes and broadcasting does the rest."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import lead
from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, given


def reduced_axes(e: Emitter, node: gs.Node) -> list[int] | None:
    """Negative axes that a Reduce* node sums over, from its attribute or its second input.

    None where only the run knows them.
    """
    rank = len(node.inputs[0].shape)
    axes = node.attrs.get("axes")
    if axes is None and (listed := given(node, 1)) is not None:
        value = e.network.value(listed)
        if value is None:
            return None
        axes = [int(axis) for axis in value.ravel()]
    if not axes:
        return [] if node.attrs.get("noop_with_empty_axes", 0) else list(range(-rank, 0))
    return sorted(axis % rank - rank for axis in axes)


def _reduced(e: Emitter, node: gs.Node, op: str, t: gs.Tensor) -> gs.Tensor:
    """A reduction of what is shaped like the input, over the same axes, which stay as 1s."""
    axes = reduced_axes(e, node)
    if axes is not None:
        return e.reduce(op, t, axes)
    noop = node.attrs.get("noop_with_empty_axes", 0)
    shape = list(node.outputs[0].shape)
    return e.op(op, t, node.inputs[1], shape=shape, keepdims=1, noop_with_empty_axes=noop)


def _kept(e: Emitter, node: gs.Node, t: gs.Tensor, leading: int = 0) -> gs.Tensor:
    """The output (or its cotangent) with the reduced axes as axes of length 1."""
    if node.attrs.get("keepdims", 1):
        return t
    axes = reduced_axes(e, node)
    if axes is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} drops axes that only the run knows, which has no derivative here; "
            f"fold the model's constants first"
        )
    rank = len(node.inputs[0].shape) + leading
    return e.unsqueeze(t, [axis + rank for axis in axes])


def _lazy(e: Emitter, node: gs.Node, dy: gs.Tensor) -> gs.Tensor:
    """The cotangent of the input: it does not vary along the reduced axes."""
    x, leading = node.inputs[0], lead(dy, node.outputs[0])
    if reduced_axes(e, node) is not None:
        return _kept(e, node, dy, leading)
    # Which axes have length 1 is not known, so that none may stay so.
    return e.op("Expand", dy, e.shape(x), shape=[*dy.shape[:leading], *x.shape])


@vjp("ReduceSum")
def reduce_sum(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return _lazy(e, node, dy)


@vjp("ReduceMean")
def reduce_mean(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, axes = node.inputs[0], reduced_axes(e, node)
    if axes is not None:
        return e.div(_lazy(e, node, dy), e.size(x, axes))
    sizes = [e.op("Size", t, shape=[], dtype=np.dtype(np.int64)) for t in (x, node.outputs[0])]
    return e.div(_lazy(e, node, dy), e.cast(e.div(*sizes), dy.dtype))


@vjp("ReduceMax", "ReduceMin")
def reduce_max(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Equal extremes share the cotangent, as in PyTorch's amax."""
    x = node.inputs[0]
    hit = e.cast(e.equal(x, _kept(e, node, node.outputs[0])), x.dtype)
    share = e.div(hit, _reduced(e, node, "ReduceSum", hit))
    return e.mul(share, _lazy(e, node, dy))


@vjp("ReduceL2")
def reduce_l2(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """x / |x|, and 0 where all of x is."""
    x, norm = node.inputs[0], _kept(e, node, node.outputs[0])
    safe = e.where(e.greater(norm, 0), norm, 1)
    return e.mul(e.div(x, safe), _lazy(e, node, dy))


@vjp("ReduceL1")
def reduce_l1(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(e.unary("Sign", node.inputs[0]), _lazy(e, node, dy))


@vjp("ReduceSumSquare")
def reduce_sum_square(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.mul(e.mul(node.inputs[0], 2), _lazy(e, node, dy))


@vjp("ReduceLogSumExp")
def reduce_log_sum_exp(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, y = node.inputs[0], _kept(e, node, node.outputs[0])
    return e.mul(e.unary("Exp", e.sub(x, y)), _lazy(e, node, dy))


@vjp("ReduceLogSum")
def reduce_log_sum(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.div(_lazy(e, node, dy), e.unary("Exp", _kept(e, node, node.outputs[0])))


@vjp("ReduceProd")
def reduce_prod(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The product of the others: y / x, with zeros left out of the product and counted instead.

    A single zero takes the product of all others; where there are two, that is zero everywhere.
    """
    x = node.inputs[0]
    is_zero = e.equal(x, 0)
    nonzero = e.where(is_zero, 1, x)
    zeros = _reduced(e, node, "ReduceSum", e.cast(is_zero, x.dtype))
    others_zero = e.greater(e.sub(zeros, e.cast(is_zero, x.dtype)), 0)
    product = e.div(_reduced(e, node, "ReduceProd", nonzero), nonzero)
    return e.mul(e.where(others_zero, 0, product), _lazy(e, node, dy))
