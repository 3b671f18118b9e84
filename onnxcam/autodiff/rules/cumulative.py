"""Running sums and products along an axis."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead
from onnxcam.autodiff.registry import vjp
from onnxcam.graph.emitter import Emitter


@vjp("CumSum")
def cum_sum(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The same sum, run the other way."""
    dy = full(e, dy, node.inputs[0])
    return _backwards(e, node, dy)


@vjp("CumProd")
def cum_prod(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dx_j = sum over k >= j of dy_k times the product up to k without x_j.

    Zeros are left out of the products and counted instead. A product without x_j is zero where
    another zero stands before k: what counts at an x_j that is not zero are the products without
    any zero, and at one that is zero those with this zero only.
    """
    x, axis = node.inputs
    dy = full(e, dy, x)
    is_zero = e.equal(x, 0)
    nonzero = e.where(is_zero, 1, x)
    same = {key: node.attrs.get(key, 0) for key in ("exclusive", "reverse")}
    product = e.op("CumProd", nonzero, axis, shape=list(x.shape), **same)
    zeros = e.op("CumSum", e.cast(is_zero, x.dtype), axis, shape=list(x.shape), **same)
    weighted = e.mul(dy, product)
    without = _backwards(e, node, e.where(e.equal(zeros, 0), weighted, 0))
    with_one = _backwards(e, node, e.where(e.equal(zeros, 1), weighted, 0))
    return e.where(is_zero, with_one, e.div(without, nonzero))


def _backwards(e: Emitter, node: gs.Node, t: gs.Tensor) -> gs.Tensor:
    """The running sum of a cotangent, from the other end."""
    return e.op(
        "CumSum",
        t,
        _axis(e, node, lead(t, node.inputs[0])),
        shape=list(t.shape),
        exclusive=node.attrs.get("exclusive", 0),
        reverse=1 - node.attrs.get("reverse", 0),
    )


def _axis(e: Emitter, node: gs.Node, leading: int) -> gs.Tensor:
    """The node's axis behind some leading ones; a negative one counts from the end anyway."""
    given = node.inputs[1]
    axis = e.network.value(given)
    if axis is not None:
        at = int(axis.ravel()[0])
        return e.constant(at + leading if at >= 0 else at, "int64")
    return e.where(e.less(given, 0), given, e.add(given, leading)) if leading else given
