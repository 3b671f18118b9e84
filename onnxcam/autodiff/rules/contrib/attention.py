"""Attention in ONNX Runtime's operators: softmax(scale Q K^T + masks) V, head by head.

The probabilities are computed again, once for all operands.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.registry import refuse
from onnxcam.autodiff.rules.heads import merge_heads, split_heads
from onnxcam.autodiff.rules.positions import positions
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, given
from onnxcam.graph.protos import MICROSOFT

_LOWEST = -1e30
"""In place of minus infinity: no weight behind the softmax, and no NaN in a row without any."""

refuse(
    "it is one step of a language model, which keeps keys and values between its runs",
    "DecoderAttention",
    "DecoderMaskedMultiHeadAttention",
    "DecoderMaskedSelfAttention",
    "GroupQueryAttention",
    "PagedAttention",
    "SparseAttention",
    domain=MICROSOFT,
)
refuse(
    "where each sequence of the packed tokens ends is known to the run only",
    "PackedAttention",
    "PackedMultiHeadAttention",
    domain=MICROSOFT,
)
refuse("it attends within a moving window", "LongformerAttention", domain=MICROSOFT)


@lowering("MultiHeadAttention", wrt=(0, 1, 2, 3, 5, 6, 7), domain=MICROSOFT)
def multi_head_attention(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """Q, K, V apart, packed together, or K, V packed or split into heads already."""
    _require_no(node, "shares a buffer between steps", 8, 9)
    heads = node.attrs["num_heads"]
    q, k, v = _operands(e, node, heads)
    k, v = _after(e, given(node, 6), k), _after(e, given(node, 7), v)
    scores = _scores(e, node, q, k)
    if given(node, 5) is not None:
        scores = e.add(scores, node.inputs[5])
    return [merge_heads(e, _mixed(e, scores, v)), k, v]


def _operands(e: Emitter, node: gs.Node, heads: int) -> list[gs.Tensor]:
    """Q, K and V as (N, heads, T, D), their bias added."""
    query, key, value = node.inputs[0], given(node, 1), given(node, 2)
    if key is None:  # (N, T, heads, 3, D)
        found = [_unpacked(e, query, k) for k in range(3)]
    elif value is None and len(key.shape) == 5:  # (N, T, heads, 2, D)
        found = [split_heads(e, query, heads), _unpacked(e, key, 0), _unpacked(e, key, 1)]
    elif value is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} keeps its keys in a form that has no derivative here; "
            f"choose a target layer behind it"
        )
    else:
        found = [x if len(x.shape) == 4 else split_heads(e, x, heads) for x in (query, key, value)]
    bias = given(node, 3)
    return found if bias is None else _biased(e, found, bias)


def _unpacked(e: Emitter, packed: gs.Tensor, which: int) -> gs.Tensor:
    return e.transpose(e.squeeze(e.slice(packed, -2, which, which + 1), [-2]), (1, 0, 2))


def _biased(e: Emitter, operands: list[gs.Tensor], bias: gs.Tensor) -> list[gs.Tensor]:
    """Each operand (N, heads, T, D) plus its part of a vector over all heads of all three."""
    start, found = 0, []
    for x in operands:
        _, heads, _, width = x.shape
        part = e.slice(bias, -1, start, start + heads * width)
        found.append(e.add(x, e.reshape(part, [heads, 1, width])))
        start += heads * width
    return found


@lowering("Attention", wrt=(0, 1, 2, 4, 5), domain=MICROSOFT)
def attention(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """Q, K, V from one product of the input with the weights, (I, Q + K + V)."""
    _require_no(node, "shares a buffer between steps", 6)
    if node.attrs.get("do_rotary", 0):
        raise UnsupportedOperatorError(
            f"{describe(node)} with rotary positions inside has no derivative here; "
            f"choose a target layer behind it"
        )
    x, weights = node.inputs[:2]
    heads, total = node.attrs["num_heads"], weights.shape[1]
    widths = node.attrs.get("qkv_hidden_sizes") or [total // 3] * 3
    y = e.matmul(x, weights)
    if given(node, 2) is not None:
        y = e.add(y, node.inputs[2])
    ends = np.cumsum([0, *widths]).tolist()
    q, k, v = (split_heads(e, e.slice(y, -1, ends[i], ends[i + 1]), heads) for i in range(3))
    past = given(node, 4)
    if past is not None:  # (2, N, heads, T, D)
        k, v = (
            e.concat([e.squeeze(e.slice(past, -5, i, i + 1), [-5]), z], -2)
            for i, z in ((0, k), (1, v))
        )
    scores = _scores(e, node, q, k)
    if given(node, 5) is not None:
        scores = e.add(scores, node.inputs[5])
    present = e.concat([e.unsqueeze(k, [0]), e.unsqueeze(v, [0])], -5)
    return [merge_heads(e, _mixed(e, scores, v)), present]


def _require_no(node: gs.Node, what: str, *inputs: int) -> None:
    if any(given(node, i) is not None for i in inputs):
        raise UnsupportedOperatorError(
            f"{describe(node)} {what}, which has no derivative here; choose a target layer "
            f"behind it"
        )


def _after(e: Emitter, past: gs.Tensor | None, x: gs.Tensor) -> gs.Tensor:
    return x if past is None else e.concat([past, x], -2)


def _scores(e: Emitter, node: gs.Node, q: gs.Tensor, k: gs.Tensor) -> gs.Tensor:
    """scale Q K^T, lowered where a key is masked, cut where it comes later than the query."""
    scale = node.attrs.get("scale", 0.0) or 1 / math.sqrt(q.shape[-1])
    scores = e.mul(e.matmul(q, e.transpose(k, (1, 0))), float(scale))
    mask = given(node, 4 if node.op == "MultiHeadAttention" else 3)
    if mask is not None:
        scores = e.add(scores, _mask(e, node, mask, scores))
    if node.attrs.get("unidirectional", 0):
        queries, keys = positions(e, scores, -2), positions(e, scores, -1)
        past = e.sub(e.dim(k, -2), e.dim(q, -2))
        later = e.greater(e.sub(keys, past), e.unsqueeze(queries, [-1]))
        scores = e.where(later, _LOWEST, scores)
    return scores


def _mask(e: Emitter, node: gs.Node, mask: gs.Tensor, scores: gs.Tensor) -> gs.Tensor:
    """What is added where a key does not count, from 0 and 1 a key or from lengths."""
    filter_value = float(node.attrs.get("mask_filter_value", -10000.0))
    count, batch = mask.shape[0], scores.shape[0]
    if len(mask.shape) == 1 and count != batch and type(count) is type(batch):
        raise UnsupportedOperatorError(
            f"{describe(node)} is masked from the left and the right, which has no derivative "
            f"here; choose a target layer behind it"
        )
    if len(mask.shape) == 1:  # so many keys count
        kept = e.less(positions(e, scores, -1), e.unsqueeze(e.cast(mask, np.int64), [-1]))
    else:
        kept = e.greater(mask, 0)
    axes = [1, 2] if len(mask.shape) < 3 else [1]
    zero = e.constant(0, scores.dtype)
    return e.where(e.unsqueeze(kept, axes), zero, filter_value)


def _mixed(e: Emitter, scores: gs.Tensor, v: gs.Tensor) -> gs.Tensor:
    return e.matmul(e.unary("Softmax", scores, axis=len(scores.shape) - 1), v)
