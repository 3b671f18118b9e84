"""Dropout: nothing at inference, a random mask in training."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@vjp("Dropout", outputs=(0,), ignored=(1, 2), takes_one_hot=True)
def dropout(e: Emitter, node: gs.Node, i: int, dy: Cotangent, *_: None) -> Cotangent:
    """In training y = x mask / (1 - ratio), and the mask is the one of the same run."""
    _, ratio, training = (*node.inputs, gs.Variable.empty(), gs.Variable.empty())[:3]
    known = e.network.value(training) if training.name else np.array(False)
    if known is not None and not known:
        return dy
    mask = node.outputs[1] if len(node.outputs) > 1 else gs.Variable.empty()
    if not mask.name:
        raise UnsupportedOperatorError(
            f"{describe(node)} drops values at random and does not say which, so that it has no "
            f"derivative; export the model in evaluation mode"
        )
    dy = dense(e, dy)
    kept = e.sub(1, e.cast(ratio, dy.dtype)) if ratio.name else e.constant(0.5, dy.dtype)
    if known is None:
        kept = e.where(training, kept, 1)
    return e.div(e.mul(dy, e.cast(mask, dy.dtype)), kept)
