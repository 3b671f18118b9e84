"""What lies behind a layer, as a model of its own, and the gradient of a score at activations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from graphs import CLASSES
from methods.search.rerunning import session, values_of
from onnx.utils import Extractor

import onnxcam

Gradient = Callable[[np.ndarray], np.ndarray]
Direction = Callable[[np.ndarray], np.ndarray]
"""Cotangent (N, CLASSES) of the logits, given those."""


def logit(target: int) -> Direction:
    return lambda z: np.eye(CLASSES, dtype=np.float32)[[target] * len(z)]


def probability(target: int) -> Direction:
    def direction(z: np.ndarray) -> np.ndarray:
        p = softmax(z)
        one = np.eye(CLASSES)[target]
        return (p[:, [target]] * (one - p)).astype(np.float32)

    return direction


def softmax(z: np.ndarray) -> np.ndarray:
    raised = np.exp(z.astype(np.float64) - z.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def at_layer(
    model: onnx.ModelProto, layer: str, x: np.ndarray, direction: Direction
) -> tuple[np.ndarray, Gradient]:
    """The layer's activations, and the gradient of a score at any of its activations."""
    inferred = onnx.shape_inference.infer_shapes(model)
    tail = Extractor(inferred).extract_model([layer], ["logits"])
    behind = session(onnxcam.append_gradients(tail, of="logits", wrt=[layer], seed=True))
    forward = session(tail)

    def gradient(activations: np.ndarray) -> np.ndarray:
        seed = direction(forward.run(["logits"], {layer: activations})[0])
        fed = {layer: activations, "logits_seed": seed}
        return np.asarray(behind.run([f"{layer}_grad"], fed)[0])

    return values_of(model, [layer], x)[layer], gradient
