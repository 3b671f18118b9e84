"""What is being explained: the scalar whose gradient is taken.

Here: the score of classes, given at run time or the model's own best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import OneHot, cotangent_dtype
from onnxcam.autodiff.rules.quantization import before_saturation, dequantized
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.head import Head
from onnxcam.graph.network import is_float
from onnxcam.graph.quantized import quantization_of

CLASS_INPUT = "cam_class"
BEST = -1
"""In `cam_class`: no class of one's own; the k-th entry then means the k-th best class."""

SCORES = ("logit", "probability")


@dataclass(frozen=True)
class ClassTargets:
    """The emitted choice of K classes an image.

    `request` is the graph input `cam_class` and `default` the value that it has when left out;
    `index`, `score` (logits) and `probability` are (N, K); `seeds` are the cotangents of the
    explained scores, with a leading axis of K when K > 1.
    """

    request: gs.Variable
    default: np.ndarray
    index: gs.Tensor
    score: gs.Tensor
    probability: gs.Tensor
    seeds: dict[str, gs.Tensor | OneHot]


def emit_class_targets(e: Emitter, head: Head, top: int, score: str) -> ClassTargets:
    """Let each run choose `top` classes an image through `cam_class`, or take the best ones.

    `score` is "logit" or "probability": what is differentiated. Raises `TargetError` when the
    model has fewer classes than `top`, or for another score.
    """
    if score not in SCORES:
        raise TargetError(f"no score '{score}'; there are 'logit' and 'probability'")
    require_top(head, top)
    unit = _unit(e, head.logits)
    logits = e.reshape(_real(e, head.logits), list(head.logits.shape[:2]))
    request = gs.Variable(CLASS_INPUT, np.dtype(np.int64), ["cam_batch", top])
    default = np.full((1, top), BEST, dtype=np.int64)
    index = e.where(e.less(request, 0), _best(e, logits, top), request)
    index.shape = [logits.shape[0], top]
    probabilities = _probabilities(e, head, logits)
    by_target = e.squeeze(index, [1]) if top == 1 else e.transpose(index, (1, 0))
    cotangent: gs.Tensor | OneHot = OneHot(by_target, head.classes, cotangent_dtype(logits))
    if score == "probability":
        cotangent = _through_activation(e, head, probabilities, cotangent.dense(e))
    if len(head.logits.shape) > 2:
        dense = cotangent.dense(e) if isinstance(cotangent, OneHot) else cotangent
        rank = len(dense.shape) + len(head.logits.shape) - 2
        cotangent = e.unsqueeze(dense, range(len(dense.shape), rank))
    seeds = {head.logits.name: cotangent}
    if unit is not None:
        dense = cotangent.dense(e) if isinstance(cotangent, OneHot) else cotangent
        seeds = before_saturation(e, head.logits, e.mul(dense, unit))
    return ClassTargets(
        request,
        default,
        index,
        _picked(e, logits, index),
        _picked(e, probabilities, index),
        seeds,
    )


def _real(e: Emitter, scores: gs.Tensor) -> gs.Tensor:
    """Scores as real numbers, which a quantised model may store as integers."""
    quantization = None if is_float(scores) else quantization_of(scores)
    return scores if quantization is None else dequantized(e, scores, *quantization)


def _unit(e: Emitter, scores: gs.Tensor) -> gs.Tensor | None:
    """What one step of quantised scores is worth; None for real ones."""
    quantization = None if is_float(scores) else quantization_of(scores)
    return None if quantization is None else e.cast(quantization[0], np.float32)


def _best(e: Emitter, logits: gs.Tensor, top: int) -> gs.Tensor:
    """Indices of the `top` highest logits, best first, (N, top)."""
    shape = [logits.shape[0], top]
    if top == 1:
        return e.op("ArgMax", logits, shape=shape, dtype=np.dtype(np.int64), axis=1, keepdims=1)
    values = e.op("TopK", logits, e.ints(top), shape=shape, axis=1)
    indices = gs.Variable(f"{values.name}_indices", np.dtype(np.int64), shape)
    values.inputs[0].outputs.append(indices)
    return indices


def _probabilities(e: Emitter, head: Head, logits: gs.Tensor) -> gs.Tensor:
    if head.probabilities is not None and head.kind != "log_softmax":
        return e.reshape(head.probabilities, list(logits.shape))
    if head.classes == 1:
        return e.unary("Sigmoid", logits)
    return e.unary("Softmax", logits, axis=1)


def _through_activation(e: Emitter, head: Head, p: gs.Tensor, dp: gs.Tensor) -> gs.Tensor:
    """Cotangent of the logits from that of the probabilities."""
    p = e.cast(p, dp.dtype)
    if head.kind == "sigmoid" or head.classes == 1:
        return e.mul(dp, e.mul(p, e.sub(1, p)))
    total = e.reduce("ReduceSum", e.mul(dp, p), [-1])
    return e.mul(p, e.sub(dp, total))


def _picked(e: Emitter, values: gs.Tensor, index: gs.Tensor) -> gs.Tensor:
    picked = e.op("GatherElements", values, index, shape=list(index.shape), axis=1)
    return e.cast(picked, np.float32)


def require_top(head: Head, top: int) -> None:
    """Raise `TargetError` unless the model has that many classes to rank."""
    if not 1 <= top <= head.classes:
        raise TargetError(f"top {top} is out of range: the model has {head.classes} classes")


def require_classes(head: Head, classes: np.ndarray) -> None:
    """Raise `TargetError` unless all class indices exist in the model."""
    wrong = classes[(classes < 0) | (classes >= head.classes)]
    if wrong.size:
        raise TargetError(
            f"class {int(wrong.flat[0])} does not exist; "
            f"the model has classes 0 to {head.classes - 1}"
        )
