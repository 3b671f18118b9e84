"""Output types of the contributed operators of transformers."""

from __future__ import annotations

from onnx import TensorProto

from onnxcam.graph.contrib_call import Call, Output, Rule


def embedding(ids: int, word: int, gamma: int, kind: int) -> Rule:
    def rule(call: Call) -> list[Output]:
        batch, length = call.shape(ids)
        hidden = (call.types[kind], (batch, length, call.shape(word)[1]))
        return [hidden, (TensorProto.INT32, (batch,)), hidden]

    return rule


def attention(call: Call) -> list[Output]:
    """Attention and QAttention: one product with weights (I, Q + K + V)."""
    batch, length, _ = call.shape(0)
    *_, value = call.attrs.get("qkv_hidden_sizes", [call.shape(1)[1] // 3])
    heads = call.attrs["num_heads"]
    past = call.shape(4)[3] if call.op == "Attention" and call.has(4) else 0
    kind = call.types[0 if call.op == "Attention" else 3]
    present = (2, batch, heads, past + length, value // heads)
    return [(kind, (batch, length, value)), (kind, present)]


def multi_head_attention(call: Call) -> list[Output]:
    query, heads, kind = call.shape(0), call.attrs["num_heads"], call.types[0]
    batch, length = query[:2]
    width = query[2] if len(query) == 3 else heads * query[4]
    key_length, key_width = length, width
    if call.has(1):
        key = call.shape(1)
        key_length = key[2] if len(key) == 4 else key[1]
        key_width = width
    if call.has(2):
        value = call.shape(2)
        width = value[1] * value[3] if len(value) == 4 else value[2]
    total = key_length + (call.shape(6)[2] if call.has(6) else 0)
    return [
        (kind, (batch, length, width)),
        (kind, (batch, heads, total, key_width // heads)),
        (kind, (batch, heads, total, width // heads)),
        (kind, (batch, heads, length, total)),
    ]


def group_query_attention(call: Call) -> list[Output]:
    (batch, length, width), kind = call.shape(0), call.types[0]
    heads, kv_heads = call.attrs["num_heads"], call.attrs["kv_num_heads"]
    head = width // (heads if call.has(1) else heads + 2 * kv_heads)
    return [(kind, (batch, length, heads * head))]
