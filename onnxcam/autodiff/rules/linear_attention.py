"""Linear attention as one operator (opset 27 on), unrolled over its steps."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.heads import merge_heads, repeat_heads, split_heads
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@lowering("LinearAttention", wrt=(0, 1, 2, 3, 4, 5))
def linear_attention(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """y_t = scale q_t S_t with a state S_t = exp(g_t) S_(t-1) + k_t^T u_t.

    u_t is v_t, or with the delta rule beta_t (v_t - k_t exp(g_t) S_(t-1)).
    """
    steps = node.inputs[0].shape[1]
    if not isinstance(steps, int):
        raise UnsupportedOperatorError(
            f"{describe(node)} runs over a length that only the run knows, which has no "
            f"derivative here; fix the model's input size"
        )
    heads, own = node.attrs["q_num_heads"], node.attrs["kv_num_heads"]
    query, key, value, state, decay, beta = [*node.inputs, *[gs.Variable.empty()] * 3][:6]
    q = split_heads(e, query, heads)
    k, v = (split_heads(e, t, own) for t in (key, value))
    g = e.unary("Exp", split_heads(e, decay, own)) if decay.name else None
    rate = split_heads(e, beta, beta.shape[-1]) if beta.name else None
    scale = node.attrs.get("scale", 0.0) or 1 / math.sqrt(q.shape[-1])
    held = state if state.name else _empty_state(e, k, v)
    results = []
    for step in range(steps):
        k_t, v_t = (e.slice(t, -2, step, step + 1) for t in (k, v))
        if g is not None:
            kept = e.slice(g, -2, step, step + 1)
            held = e.mul(held, e.transpose(kept, (1, 0)))
        if rate is not None:
            v_t = e.mul(e.slice(rate, -2, step, step + 1), e.sub(v_t, e.matmul(k_t, held)))
        held = e.add(held, e.matmul(e.transpose(k_t, (1, 0)), v_t))
        q_t = e.slice(q, -2, step, step + 1)
        results.append(e.matmul(q_t, repeat_heads(e, held, heads)))
    y = merge_heads(e, e.mul(e.concat(results, -2), float(scale)))
    return [y, held]


def _empty_state(e: Emitter, k: gs.Tensor, v: gs.Tensor) -> gs.Tensor:
    sizes = [e.dim(k, -4), e.dim(k, -3), e.dim(k, -1), e.dim(v, -1)]
    zero = e.constant(np.zeros([1] * 4), k.dtype)
    shape = [*k.shape[:2], k.shape[-1], v.shape[-1]]
    return e.op("Expand", zero, e.concat(sizes, -1), shape=shape)
