"""Matrix products."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import OneHot, dense, full, lead, unbroadcast
from onnxcam.autodiff.registry import vjp
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import producer


def _swapped(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    return e.transpose(x, (1, 0))


def _weight_rows(e: Emitter, weight: gs.Tensor, index: gs.Tensor, axis: int) -> gs.Tensor:
    """Slices of a (2-D) weight along the class axis, one a target: shape [*index, features].

    They are picked before they are cast, where the weight is stored in another type.
    """
    maker = producer(weight)
    if maker is not None and maker.op == "Cast" and maker.inputs[0].shape == weight.shape:
        return e.cast(_weight_rows(e, maker.inputs[0], index, axis), weight.dtype)
    features = weight.shape[1 - axis]
    if axis == 0:
        return e.op("Gather", weight, index, shape=[*index.shape, features], axis=0)
    columns = e.op("Gather", weight, index, shape=[features, *index.shape], axis=1)
    return e.transpose(columns, [*range(1, len(columns.shape)), 0])


@vjp("Gemm", wrt=(0, 1, 2), takes_one_hot=True)
def gemm(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor | OneHot) -> gs.Tensor:
    """y = alpha A' B' + beta C, where A' and B' may be transposed."""
    a, b = node.inputs[:2]
    alpha, beta = node.attrs.get("alpha", 1.0), node.attrs.get("beta", 1.0)
    trans_a, trans_b = node.attrs.get("transA", 0), node.attrs.get("transB", 0)
    if i == 0 and isinstance(dy, OneHot) and not trans_a:
        da = _weight_rows(e, b, dy.index, 0 if trans_b else 1)
        return da if alpha == 1 else e.mul(da, alpha)
    dy = dense(e, dy)
    if i == 2:
        dc = unbroadcast(e, dy, node.inputs[2], node.outputs[0])
        return dc if beta == 1 else e.mul(dc, beta)
    dy = full(e, dy, node.outputs[0], [-1 - i])
    if i == 0:
        b_t = b if trans_b else _swapped(e, b)
        da = e.matmul(_swapped(e, b_t), _swapped(e, dy)) if trans_a else e.matmul(dy, b_t)
    else:
        a_t = a if trans_a else _swapped(e, a)
        da = e.matmul(_swapped(e, dy), _swapped(e, a_t)) if trans_b else e.matmul(a_t, dy)
    return da if alpha == 1 else e.mul(da, alpha)


@vjp("MatMul", wrt=(0, 1), takes_one_hot=True)
def matmul(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor | OneHot) -> gs.Tensor:
    """dA = dY B^T, dB = A^T dY, summed over broadcast batch axes; vectors count as matrices."""
    a, b = node.inputs
    if isinstance(dy, OneHot):
        if i == 0 and len(b.shape) == 2 and len(a.shape) == 2:
            return _weight_rows(e, b, dy.index, 1)
        dy = dy.dense(e)
    y = node.outputs[0]
    leading = lead(dy, y)
    dy = _as_matrix(e, dy, len(a.shape), len(b.shape), leading)
    a2 = e.unsqueeze(a, [0]) if len(a.shape) == 1 else a
    b2 = e.unsqueeze(b, [1]) if len(b.shape) == 1 else b
    y2 = _as_matrix(e, y, len(a.shape), len(b.shape), 0)
    if i == 0:
        dx = e.matmul(full(e, dy, y2, [-1]), _swapped(e, b2))
        x = a2
    else:
        dx = e.matmul(_swapped(e, a2), full(e, dy, y2, [-2]))
        x = b2
    batch = _batch_like(y2, x)
    dx = unbroadcast(e, dx, x, batch)
    if len(node.inputs[i].shape) == 1:
        dx = e.squeeze(dx, [-2 if i == 0 else -1])
    return dx


def _as_matrix(e: Emitter, y: gs.Tensor, rank_a: int, rank_b: int, leading: int) -> gs.Tensor:
    """Give back the axes that MatMul drops for 1-D operands."""
    if rank_b == 1:
        y = e.unsqueeze(y, [-1])
    if rank_a == 1:
        y = e.unsqueeze(y, [-2])
    return y


def _batch_like(y: gs.Tensor, x: gs.Tensor) -> gs.Tensor:
    """A stand-in with y's batch axes and x's matrix axes, for summing down to x."""
    return gs.Variable(y.name, dtype=x.dtype, shape=[*y.shape[:-2], *x.shape[-2:]])
