"""Batch normalisation, by stored statistics or by those of the batch."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.normalization import per_channel
from onnxcam.graph.emitter import Emitter


@lowering("BatchNormalization", outputs=(0, 1, 2))
def batch_normalization(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """(x - mean) scale / sqrt(variance + epsilon) + bias.

    At inference one factor a channel is left of its derivative, which the runtime folds. In
    training the statistics are the batch's, and are blended into the running ones.
    """
    x, *parameters = node.inputs[:5]
    rank, epsilon = len(x.shape), node.attrs.get("epsilon", 1e-5)
    scale, bias, mean, variance = (e.cast(each, x.dtype) for each in parameters)
    if not _is_training(e, node):
        centred = e.sub(x, per_channel(e, mean, rank))
        factor = e.div(scale, e.unary("Sqrt", e.add(variance, epsilon)))
        scaled = e.mul(centred, per_channel(e, factor, rank))
        return [e.add(scaled, per_channel(e, bias, rank))]
    axes = [-rank, *range(2 - rank, 0)]
    own_mean = e.reduce("ReduceMean", x, axes)
    centred = e.sub(x, own_mean)
    own_variance = e.reduce("ReduceMean", e.mul(centred, centred), axes)
    r = e.unary("Reciprocal", e.unary("Sqrt", e.add(own_variance, epsilon)))
    scaled = e.mul(e.mul(centred, r), per_channel(e, scale, rank))
    own_mean, own_variance = e.squeeze(own_mean, axes), e.squeeze(own_variance, axes)
    kept = node.attrs.get("momentum", 0.9)
    return [
        e.add(scaled, per_channel(e, bias, rank)),
        e.add(e.mul(mean, kept), e.mul(own_mean, 1 - kept)),
        e.add(e.mul(variance, kept), e.mul(own_variance, 1 - kept)),
    ]


def _is_training(e: Emitter, node: gs.Node) -> bool:
    """Before opset 14, more than one output says so."""
    if e.opset >= 14:
        return bool(node.attrs.get("training_mode", 0))
    return any(output.name for output in node.outputs[1:])
