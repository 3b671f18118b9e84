"""Parts of transformers and state space models that are one operator, taken apart."""

from __future__ import annotations

import functools

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.heads import merge_heads, split_heads
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given


@lowering("SwiGLU", wrt=(0, 1))
def swiglu(e: Emitter, node: gs.Node) -> gs.Tensor:
    """a sigmoid(alpha a) b."""
    gate, value = node.inputs
    return e.mul(_swish(e, gate, node.attrs.get("alpha", 1.0)), value)


def _swish(e: Emitter, x: gs.Tensor, alpha: float = 1.0) -> gs.Tensor:
    inside = x if alpha == 1 else e.mul(x, alpha)
    return e.mul(x, e.unary("Sigmoid", inside))


@lowering("RotaryEmbedding", wrt=(0, 1, 2))
def rotary_embedding(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Pairs (a, b) turned by an angle a position: (a cos - b sin, a sin + b cos)."""
    x, cos, sin = node.inputs[:3]
    packed = len(x.shape) == 3
    if packed:
        x = split_heads(e, x, node.attrs["num_heads"])
    at = given(node, 3)
    if at is not None:
        shape = [*at.shape, cos.shape[-1]]
        cos, sin = (e.op("Gather", t, at, shape=shape, axis=0) for t in (cos, sin))
    cos, sin = (e.unsqueeze(t, [1]) for t in (cos, sin))
    turned = node.attrs.get("rotary_embedding_dim", 0) or x.shape[-1]
    interleaved = node.attrs.get("interleaved", 0)
    if interleaved:
        a, b = (e.slice(x, -1, k, turned, 2) for k in (0, 1))
    else:
        a, b = (e.slice(x, -1, k, k + turned // 2) for k in (0, turned // 2))
    pair = [
        e.sub(e.mul(a, cos), e.mul(b, sin)),
        e.add(e.mul(a, sin), e.mul(b, cos)),
    ]
    y = _interleaved(e, pair, turned) if interleaved else e.concat(pair, -1)
    if turned != x.shape[-1]:
        y = e.concat([y, e.slice(x, -1, turned, x.shape[-1])], -1)
    return merge_heads(e, y) if packed else y


def _interleaved(e: Emitter, pair: list[gs.Tensor], width: int) -> gs.Tensor:
    woven = e.concat([e.unsqueeze(t, [-1]) for t in pair], -1)
    front = list(pair[0].shape[:-1])
    sizes = [e.dim(pair[0], k - len(front) - 1) for k in range(len(front))]
    return e.reshape(woven, [*front, width], [*sizes, e.ints(width)])


@lowering("CausalConvWithState", wrt=(0, 1, 2, 3))
def causal_conv_with_state(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """A depthwise convolution behind what came before; its end is what comes before the next."""
    x, weight, bias, state = [*node.inputs, *(gs.Variable.empty() for _ in range(2))][:4]
    width, end = int(weight.shape[-1]), np.iinfo(np.int64).max
    longer = e.concat([state, x], -1) if state.name else e.pad(x, {-1: (width - 1, 0)})
    taps = []
    for k in range(width):
        seen = e.slice(longer, -1, k, k + 1 - width or end)
        seen.shape[-1] = x.shape[-1]
        taps.append(e.mul(seen, e.squeeze(e.slice(weight, -1, k, k + 1), [-1])))
    y = functools.reduce(e.add, taps)
    if bias.name:
        y = e.add(y, e.unsqueeze(bias, [1]))
    if node.attrs.get("activation", "none") != "none":
        y = _swish(e, y)
    return [y, e.slice(longer, -1, 1 - width, end) if width > 1 else None]
