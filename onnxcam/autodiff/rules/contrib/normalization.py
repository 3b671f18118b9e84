"""Normalisations with the residual sums, embeddings and activations around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.layout import channels_first, channels_last
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given
from onnxcam.graph.protos import MICROSOFT

_EPSILON = 1e-12
"""What these operators add to a variance where they say nothing, not the standard 1e-5."""


def _layer_normalization(
    e: Emitter, node: gs.Node, x: gs.Tensor, scale: gs.Tensor, bias: gs.Tensor | None
) -> gs.Tensor:
    # Standard from opset 17 on; here only its derivative is emitted, which is older.
    inputs = [x, scale] if bias is None else [x, scale, bias]
    epsilon = node.attrs.get("epsilon", _EPSILON)
    return e.op("LayerNormalization", *inputs, shape=list(x.shape), axis=-1, epsilon=epsilon)


def _rms_normalization(
    e: Emitter, node: gs.Node, x: gs.Tensor, scale: gs.Tensor, epsilon: float
) -> gs.Tensor:
    attrs = {"axis": node.attrs.get("axis", -1), "epsilon": node.attrs.get("epsilon", epsilon)}
    return e.op("RMSNormalization", x, scale, shape=list(x.shape), **attrs)


def _total(e: Emitter, parts: Sequence[gs.Tensor | None]) -> gs.Tensor:
    first, *others = (part for part in parts if part is not None)
    total: gs.Tensor = first
    for part in others:
        total = e.add(total, part)
    return total


@lowering("SkipLayerNormalization", wrt=(0, 1, 4), outputs=(0, 3), domain=MICROSOFT)
def skip_layer_normalization(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """Of the sum input + skip + bias, which is the fourth output."""
    total = _total(e, [*node.inputs[:2], given(node, 4)])
    y = _layer_normalization(e, node, total, node.inputs[2], given(node, 3))
    return [y, None, None, total]


@lowering("SkipSimplifiedLayerNormalization", wrt=(0, 1, 3), outputs=(0, 3), domain=MICROSOFT)
def skip_simplified_layer_normalization(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """The same without subtracting the mean."""
    total = _total(e, [*node.inputs[:2], given(node, 3)])
    return [_rms_normalization(e, node, total, node.inputs[2], _EPSILON), None, None, total]


@lowering("SimplifiedLayerNormalization", wrt=(0,), outputs=(0,))
def simplified_layer_normalization(e: Emitter, node: gs.Node) -> gs.Tensor:
    """RMSNormalization by another name, which ONNX Runtime writes as if it were standard."""
    return _rms_normalization(e, node, node.inputs[0], node.inputs[1], 1e-5)


@lowering("EmbedLayerNormalization", wrt=(2, 3, 4), outputs=(0, 2), domain=MICROSOFT)
def embed_layer_normalization(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """Of the sum of three embeddings, of words, positions and segments: the third output."""
    ids, segments, words, positions, segment_rows = node.inputs[:5]
    batch, length = ids.shape
    hidden = words.shape[1]
    places = given(node, 8)
    if places is not None:
        at = e.op("Gather", positions, places, shape=[*places.shape, hidden], axis=0)
    elif isinstance(length, int):
        at = e.slice(positions, -2, 0, length)
    else:
        count = e.squeeze(e.dim(ids, -1), [0])
        ends = (e.constant(end, np.int64) for end in (0, 1))
        numbers = e.op("Range", next(ends), count, next(ends), shape=[length])
        at = e.op("Gather", positions, numbers, shape=[length, hidden], axis=0)
    parts = [e.op("Gather", words, ids, shape=[batch, length, hidden], axis=0), at]
    if segments.name and segment_rows.name:
        parts.append(e.op("Gather", segment_rows, segments, shape=[batch, length, hidden], axis=0))
    total = _total(e, parts)
    return [_layer_normalization(e, node, total, *node.inputs[5:7]), None, total]


@lowering("GroupNorm", wrt=(0,), domain=MICROSOFT)
@lowering("SkipGroupNorm", wrt=(0, 3, 4), outputs=(0, 1), domain=MICROSOFT)
def group_norm(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    """Channels last unless said; SiLU behind it where `activation` is 1.

    The sum with a skip, (N, 1, 1, C) or of the picture's shape, and a bias is the second output.
    """
    x, gamma, beta = node.inputs[:3]
    skip = given(node, 3)
    if skip is not None and len(skip.shape) == 2:
        skip = e.unsqueeze(skip, [1, 2])
    total = _total(e, [x, skip, given(node, 4)])
    rank = len(x.shape)
    last = node.attrs.get("channels_last", 1)
    first = channels_first(e, total) if last else total
    y = _by_groups(e, node, first)
    channels = list(range(1, rank - 1))
    y = e.add(e.mul(y, e.unsqueeze(gamma, channels)), e.unsqueeze(beta, channels))
    if node.attrs.get("activation", 0):
        y = e.mul(y, e.unary("Sigmoid", y))
    return [channels_last(e, y) if last else y, total]


def _by_groups(e: Emitter, node: gs.Node, x: gs.Tensor) -> gs.Tensor:
    """(N, C, *size) normalised over each group of channels."""
    n, c, *size = x.shape
    groups = node.attrs["groups"]
    dims = [n, groups, c // groups, *size]
    sizes = [
        e.dim(x, 0),
        e.ints(groups, c // groups),
        *(e.dim(x, k) for k in range(2, 2 + len(size))),
    ]
    apart = e.reshape(x, dims, sizes)
    axes = list(range(-1 - len(size), 0))
    centred = e.sub(apart, e.reduce("ReduceMean", apart, axes))
    variance = e.reduce("ReduceMean", e.mul(centred, centred), axes)
    y = e.div(centred, e.unary("Sqrt", e.add(variance, float(node.attrs.get("epsilon", 1e-5)))))
    return e.reshape_like(y, x)
