"""Training losses that a model may carry as operators, made of simpler ones."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.positions import positions
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given


@lowering("NegativeLogLikelihoodLoss", wrt=(0, 2))
def negative_log_likelihood_loss(e: Emitter, node: gs.Node) -> gs.Tensor:
    return _likelihood_loss(e, node, node.inputs[0])


@lowering("SoftmaxCrossEntropyLoss", wrt=(0, 2))
def softmax_cross_entropy_loss(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """The loss of log_prob = x - log(sum(exp(x))) over the classes, and log_prob itself."""
    scores = node.inputs[0]
    log_prob = e.sub(scores, e.reduce("ReduceLogSumExp", scores, [1 - len(scores.shape)]))
    return [_likelihood_loss(e, node, log_prob), log_prob]


def _likelihood_loss(e: Emitter, node: gs.Node, log_prob: gs.Tensor) -> gs.Tensor:
    """- sum over classes c of w_c log_prob_c where the label is c, reduced as the node says.

    The mean is that over the labels' weights. A label that is ignored is one of no class.
    """
    spatial = len(log_prob.shape) - 2
    label = e.unsqueeze(e.cast(node.inputs[1], np.int64), [1])
    classes = e.unsqueeze(positions(e, log_prob, 1), range(1, 1 + spatial))
    is_class = e.equal(label, classes)
    ignored = node.attrs.get("ignore_index")
    if ignored is not None:
        kept = e.unary("Not", e.equal(label, ignored))
        is_class = e.logical_and(is_class, kept)
    weights = e.cast(is_class, log_prob.dtype)
    weight = given(node, 2)
    if weight is not None:
        weights = e.mul(weights, e.unsqueeze(weight, range(1, 1 + spatial)))
    weighted = e.reduce("ReduceSum", e.mul(weights, log_prob), [-1 - spatial], keepdims=False)
    losses = e.unary("Neg", weighted)
    reduction = node.attrs.get("reduction", "mean")
    if reduction == "none":
        return losses
    total = e.reduce("ReduceSum", losses, range(-1 - spatial, 0), keepdims=False)
    if reduction == "sum":
        return total
    count = e.reduce("ReduceSum", weights, range(-2 - spatial, 0), keepdims=False)
    return e.div(total, count)
