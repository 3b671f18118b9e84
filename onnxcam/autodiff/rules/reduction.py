"""Reductions: the cotangent stays short along the reduced axes and broadcasting does the rest."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


def reduced_axes(e: Emitter, node: gs.Node) -> list[int]:
    """Negative axes that a Reduce* node sums over, from its attribute or its second input."""
    rank = len(node.inputs[0].shape)
    axes = node.attrs.get("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1].name:
        value = e.network.value(node.inputs[1])
        if value is None:
            raise UnsupportedOperatorError(
                f"{describe(node)} computes its axes at run time, which has no derivative here; "
                f"fold the model's constants first"
            )
        axes = [int(axis) for axis in value.ravel()]
    if not axes:
        return [] if node.attrs.get("noop_with_empty_axes", 0) else list(range(-rank, 0))
    return sorted(axis % rank - rank for axis in axes)


def _kept(e: Emitter, node: gs.Node, t: gs.Tensor, leading: int = 0) -> gs.Tensor:
    """The output (or its cotangent) with the reduced axes as axes of length 1."""
    if node.attrs.get("keepdims", 1):
        return t
    rank = len(node.inputs[0].shape) + leading
    return e.unsqueeze(t, [axis + rank for axis in reduced_axes(e, node)])


def _lazy(e: Emitter, node: gs.Node, dy: gs.Tensor) -> gs.Tensor:
    return _kept(e, node, dy, lead(dy, node.outputs[0]))


@vjp("ReduceSum")
def reduce_sum(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return _lazy(e, node, dy)


@vjp("ReduceMean")
def reduce_mean(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    return e.div(_lazy(e, node, dy), e.size(node.inputs[0], reduced_axes(e, node)))


@vjp("ReduceMax", "ReduceMin")
def reduce_max(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Equal extremes share the cotangent, as in PyTorch's amax."""
    x = node.inputs[0]
    hit = e.cast(e.equal(x, _kept(e, node, node.outputs[0])), x.dtype)
    share = e.div(hit, e.reduce("ReduceSum", hit, reduced_axes(e, node)))
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
    axes = reduced_axes(e, node)
    is_zero = e.equal(x, 0)
    nonzero = e.where(is_zero, 1, x)
    zeros = e.reduce("ReduceSum", e.cast(is_zero, x.dtype), axes)
    others_zero = e.greater(e.sub(zeros, e.cast(is_zero, x.dtype)), 0)
    product = e.div(e.reduce("ReduceProd", nonzero, axes), nonzero)
    return e.mul(e.where(others_zero, 0, product), _lazy(e, node, dy))


@vjp("CumSum")
def cum_sum(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The same sum, run the other way."""
    x = node.inputs[0]
    dy = full(e, dy, x)
    axis = e.network.value(node.inputs[1])
    if axis is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} computes its axis at run time, which has no derivative here; "
            f"fold the model's constants first"
        )
    rank = len(x.shape)
    at = e.constant(int(axis.ravel()[0]) % rank + lead(dy, x), "int64")
    return e.op(
        "CumSum",
        dy,
        at,
        shape=list(dy.shape),
        exclusive=node.attrs.get("exclusive", 0),
        reverse=1 - node.attrs.get("reverse", 0),
    )
