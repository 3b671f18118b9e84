"""Scaled dot-product attention as one operator (opset 23 on)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@vjp("Attention", wrt=(0, 1, 2))
def attention(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """y = P V, P = softmax(scale Q K^T + mask), computed again.

    dV = P^T dy, dS = P (dy V^T - sum(P dy V^T)), dQ = scale dS K, dK = scale dS^T Q.
    """
    _require_plain(node, dys)
    dy = dys[0]
    assert dy is not None
    heads = node.attrs.get("q_num_heads")
    q, k, v = (_by_head(e, t, heads) for t in node.inputs[:3])
    dy = _by_head(e, full(e, dy, node.outputs[0]), heads)
    scale = node.attrs.get("scale") or 1 / math.sqrt(q.shape[-1])
    p = _probabilities(e, node, q, k, scale)
    if i == 2:
        dx = e.matmul(_swapped(e, p), dy)
    else:
        dp = e.matmul(dy, _swapped(e, v))
        total = e.reduce("ReduceSum", e.mul(dp, p), [-1])
        ds = e.mul(e.mul(p, e.sub(dp, total)), scale)
        dx = e.matmul(ds, k) if i == 0 else e.matmul(_swapped(e, ds), q)
    return _merged(e, dx) if len(node.inputs[i].shape) == 3 else dx


def _require_plain(node: gs.Node, dys: Sequence[gs.Tensor | None]) -> None:
    used = [t.name for t in node.inputs[4:] if t.name]
    used += [t.name for t, dy in zip(node.outputs[1:], dys[1:], strict=True) if dy is not None]
    grouped = node.attrs.get("kv_num_heads") != node.attrs.get("q_num_heads")
    if len(node.inputs[0].shape) == 4:
        grouped = node.inputs[0].shape[1] != node.inputs[1].shape[1]
    if used or grouped or node.attrs.get("softcap", 0.0):
        raise UnsupportedOperatorError(
            f"{describe(node)} with a key-value cache, grouped heads or softcap has no "
            f"derivative here; choose a target layer behind it"
        )


def _swapped(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    return e.transpose(x, (1, 0))


def _by_head(e: Emitter, x: gs.Tensor, heads: int | None) -> gs.Tensor:
    """(..., T, heads * D) as (..., heads, T, D); 4-D operands are so already."""
    if heads is None:
        return x
    width = x.shape[-1] // heads
    sizes = [*(e.dim(x, k - len(x.shape)) for k in range(len(x.shape) - 1)), e.ints(heads, width)]
    return e.transpose(e.reshape(x, [*x.shape[:-1], heads, width], sizes), (1, 0, 2))


def _merged(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    x = e.transpose(x, (1, 0, 2))
    *front, heads, width = x.shape
    sizes = [*(e.dim(x, k - len(x.shape)) for k in range(len(front))), e.ints(heads * width)]
    return e.reshape(x, [*front, heads * width], sizes)


def _probabilities(
    e: Emitter, node: gs.Node, q: gs.Tensor, k: gs.Tensor, scale: float
) -> gs.Tensor:
    scores = e.mul(e.matmul(q, _swapped(e, k)), scale)
    if len(node.inputs) > 3 and node.inputs[3].name:
        mask = node.inputs[3]
        scores = (
            e.where(mask, scores, _lowest(scores)) if mask.dtype == bool else e.add(scores, mask)
        )
    if node.attrs.get("is_causal", 0):
        lengths = [q.shape[-2], k.shape[-2]]
        if not is_static(lengths):
            raise UnsupportedOperatorError(
                f"{describe(node)} is causal over a length that only the run knows, which has "
                f"no derivative here; fix the model's input size"
            )
        scores = e.where(e.constant(np.tril(np.ones(lengths, dtype=bool))), scores, _lowest(scores))
    return e.unary("Softmax", scores, axis=-1)


def _lowest(scores: gs.Tensor) -> float:
    """In place of minus infinity: no weight behind the softmax, and no NaN in a masked row."""
    return -6e4 if scores.dtype == np.float16 else -1e30
