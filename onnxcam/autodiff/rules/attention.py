"""Scaled dot-product attention as one operator (opset 23 on), taken apart."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.heads import merge_heads, repeat_heads, split_heads
from onnxcam.autodiff.rules.positions import positions
from onnxcam.graph.emitter import Emitter

LOWEST = -1e30
"""In place of minus infinity: no weight behind the softmax, and no NaN in a masked row."""


@lowering("Attention", wrt=(0, 1, 2, 3, 4, 5))
def attention(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """y = P V, P = softmax(softcap(scale Q K^T) + bias); the bias says who attends to whom.

    The outputs behind y are keys and values with the past in front, and, by the node's mode, the
    scores, those with softcap, those with bias too, or P.
    """
    packed = len(node.inputs[0].shape) == 3
    q, k, v, mask, past_key, past_value, lengths = _inputs(node)
    if packed:
        heads = (node.attrs["q_num_heads"], *[node.attrs["kv_num_heads"]] * 2)
        q, k, v = (split_heads(e, t, number) for t, number in zip((q, k, v), heads, strict=True))
    if past_key.name:
        k, v = e.concat([past_key, k], -2), e.concat([past_value, v], -2)
    present = [e.unary("Identity", t) for t in (k, v)]
    k, v = (repeat_heads(e, t, q.shape[1]) for t in present)
    scale = node.attrs.get("scale") or 1 / math.sqrt(q.shape[-1])
    scores = e.mul(e.matmul(q, e.transpose(k, (1, 0))), float(scale))
    capped = _softcapped(e, scores, node.attrs.get("softcap", 0.0))
    bias = _bias(e, node, q, k, mask, past_key, lengths)
    biased = capped
    if bias is not None:
        finite = e.op("Max", bias, e.constant(LOWEST, bias.dtype), shape=list(bias.shape))
        biased = e.add(capped, finite)
    p = e.unary("Softmax", biased, axis=-1)
    if bias is not None:  # a row in which nobody is attended to is zero
        attended = e.greater(e.reduce("ReduceMax", bias, [-1]), -math.inf)
        p = e.where(attended, p, 0)
    y = e.matmul(p, v)
    modes = (scores, capped, biased, p)
    shown = modes[node.attrs.get("qk_matmul_output_mode", 0)]
    return [merge_heads(e, y) if packed else y, *present, e.unary("Identity", shown)]


def _inputs(node: gs.Node) -> list[gs.Tensor]:
    """All seven of them, those left out without a name."""
    return [*node.inputs, *(gs.Variable.empty() for _ in range(7 - len(node.inputs)))]


def _softcapped(e: Emitter, scores: gs.Tensor, cap: float) -> gs.Tensor:
    if not cap:
        return scores
    return e.mul(e.unary("Tanh", e.mul(scores, 1 / cap)), cap)


def _bias(
    e: Emitter,
    node: gs.Node,
    q: gs.Tensor,
    k: gs.Tensor,
    mask: gs.Tensor,
    past_key: gs.Tensor,
    lengths: gs.Tensor,
) -> gs.Tensor | None:
    """What is added to the scores: minus infinity where a query does not attend to a key."""
    bias = _mask_bias(e, mask, q, k) if mask.name else None
    for allowed in _allowed(e, node, q, k, past_key, lengths):
        open_ = e.constant(0, q.dtype) if bias is None else bias
        bias = e.where(allowed, open_, -math.inf)
    return bias


def _mask_bias(e: Emitter, mask: gs.Tensor, q: gs.Tensor, k: gs.Tensor) -> gs.Tensor:
    """The mask as a bias, padded to the number of keys."""
    if mask.dtype == bool:
        mask = e.where(mask, e.constant(0, q.dtype), -math.inf)
    size, length = k.shape[-2], mask.shape[-1]
    if length == size and length is not None:
        return mask
    missing = size - length if isinstance(size, int) and isinstance(length, int) else None
    front = list(mask.shape[:-1])
    sizes = [e.dim(mask, axis - len(mask.shape)) for axis in range(len(front))]
    target = e.concat([*sizes, e.sub(e.dim(k, -2), e.dim(mask, -1))], -1)
    closed = e.constant(-math.inf, mask.dtype)
    rest = e.op("Expand", closed, target, shape=[*front, missing])
    return e.op("Concat", mask, rest, shape=[*front, size], axis=len(front))


def _allowed(
    e: Emitter,
    node: gs.Node,
    q: gs.Tensor,
    k: gs.Tensor,
    past_key: gs.Tensor,
    lengths: gs.Tensor,
) -> list[gs.Tensor]:
    """Every condition under which a query attends to a key.

    A query's position is its number plus that of the keys before the block of queries.
    """
    at_key = positions(e, k, -2)
    if lengths.name:
        lengths = e.unsqueeze(e.cast(lengths, np.int64), [1, 2, 3])
    found = [e.less(at_key, lengths)] if lengths.name else []
    left, right = (node.attrs.get(f"{side}_window_size", -1) for side in ("left", "right"))
    if node.attrs.get("is_causal", 0):
        right = 0
    if left < 0 and right < 0:
        return found
    at_query = e.unsqueeze(positions(e, q, -2), [1])
    if past_key.name:
        at_query = e.add(at_query, e.dim(past_key, -2))
    elif lengths.name:
        at_query = e.add(at_query, e.sub(lengths, e.dim(q, -2)))
    ahead = e.sub(at_key, at_query)
    if right >= 0:
        found.append(e.less(ahead, right + 1))
    if left >= 0:
        found.append(e.greater(ahead, -left - 1))
    return found
