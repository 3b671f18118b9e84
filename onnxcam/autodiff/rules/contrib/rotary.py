"""Positions as angles that pairs of features are turned by."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.heads import merge_heads, split_heads
from onnxcam.autodiff.rules.positions import positions
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.protos import MICROSOFT


@lowering("RotaryEmbedding", wrt=(0,), domain=MICROSOFT)
def rotary_embedding(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Pairs of features turned by an angle that grows with the position.

    (a, b) -> (a cos - b sin, b cos + a sin); the pairs are the halves of a head, or neighbours
    where `interleaved`. Only the first `rotary_embedding_dim` features of a head are turned.
    """
    x, ids, cos, sin = node.inputs
    turned = 2 * cos.shape[-1]
    heads = node.attrs.get("num_heads", 0)
    if len(x.shape) == 3:
        width = x.shape[-1] // heads if heads else node.attrs.get("rotary_embedding_dim") or turned
        apart = split_heads(e, x, x.shape[-1] // width)
    else:
        apart, width = x, x.shape[-1]
    angles = [_at_positions(e, table, ids, x) for table in (cos, sin)]
    scale = float(node.attrs.get("scale", 1.0))
    first = e.slice(apart, -1, 0, turned)
    y = _turned(e, first if scale == 1 else e.mul(first, scale), angles, node.attrs)
    if turned < width:
        y = e.concat([y, e.slice(apart, -1, turned, width)], -1)
    return merge_heads(e, y) if len(x.shape) == 3 else y


def _at_positions(e: Emitter, table: gs.Tensor, ids: gs.Tensor, x: gs.Tensor) -> gs.Tensor:
    """(N or 1, 1, T, D / 2): the table's rows at the given positions, or from the given one on."""
    if len(ids.shape) == 1:
        ids = e.unsqueeze(e.add(positions(e, x, -2), ids), [0])
    rows = e.op("Gather", table, ids, shape=[*ids.shape, table.shape[-1]], axis=0)
    return e.unsqueeze(rows, [1])


def _turned(e: Emitter, x: gs.Tensor, angles: list[gs.Tensor], attrs: dict[str, int]) -> gs.Tensor:
    cos, sin = angles
    half = x.shape[-1] // 2
    sizes = [e.dim(x, k) for k in range(-4, -1)]
    if attrs.get("interleaved", 0):
        pairs = e.reshape(x, [*x.shape[:-1], half, 2], [*sizes, e.ints(half, 2)])
        a, b = (e.squeeze(e.slice(pairs, -1, k, k + 1), [-1]) for k in (0, 1))
    else:
        a, b = e.slice(x, -1, 0, half), e.slice(x, -1, half, 2 * half)
    a, b = e.sub(e.mul(a, cos), e.mul(b, sin)), e.add(e.mul(b, cos), e.mul(a, sin))
    if not attrs.get("interleaved", 0):
        return e.concat([a, b], -1)
    joined = e.concat([e.unsqueeze(a, [-1]), e.unsqueeze(b, [-1])], -1)
    return e.reshape(joined, list(x.shape), [*sizes, e.ints(2 * half)])
