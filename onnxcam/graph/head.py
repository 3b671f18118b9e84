"""The end of a classifier: which output holds the classes, and the logits in front of it."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError, nearest
from onnxcam.graph.detections import find_detections
from onnxcam.graph.network import Network, is_float, producer

ACTIVATIONS = {
    "Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid",
    "QLinearSoftmax": "softmax", "QLinearSigmoid": "sigmoid",
}  # fmt: skip

_TRANSPARENT = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
_TRANSPARENT |= {"QuantizeLinear", "DequantizeLinear"}
_DECISIONS = ("ArgMax", "TopK")


@dataclass(frozen=True)
class Head:
    """The scores that a model gives its classes.

    `logits` and `probabilities` are (N, units) tensors, axes of length 1 behind them allowed.
    The logits may be quantised; `probabilities` is None when the model gives bare logits. `kind`
    is "softmax", "log_softmax", "sigmoid" (independent classes) or "logits".
    """

    logits: gs.Tensor
    probabilities: gs.Tensor | None
    kind: str

    @property
    def units(self) -> int:
        return int(self.logits.shape[1])

    @property
    def is_binary(self) -> bool:
        """Whether one unit with a Sigmoid decides between two classes, 0 (no) and 1 (yes)."""
        return self.units == 1 and self.kind == "sigmoid"

    @property
    def classes(self) -> int:
        return 2 if self.is_binary else self.units


def find_head(network: Network, output: str | None = None) -> Head:
    """The first output that holds class scores, or the output of that name.

    A final Softmax, LogSoftmax or Sigmoid is stepped over, because its gradient fades where the
    model is sure; so are a final ArgMax and TopK, which have none.
    Raises `ModelError` when there is no float output, or none with a score a class.
    """
    if output is None and find_detections(network) is not None:
        raise ModelError(
            "the model detects boxes and gives the picture no classes; explain a box (--target box)"
        )
    outputs = [before_decision(tensor) for tensor in outputs_of(network, output)]
    floats = [tensor for tensor in outputs if is_float(tensor)]
    if not floats:
        made = ", ".join(f"{t.name} ({t.dtype})" for t in network.graph.outputs)
        raise ModelError(
            f"the model has no float output, only {made}; nothing to differentiate: "
            f"export it with its scores"
        )
    for tensor in floats:
        if _is_scores(tensor):
            return _step_back(tensor)
    made = ", ".join(f"{t.name} {t.shape or f'of unknown shape{network.because}'}" for t in floats)
    raise ModelError(
        f"no output holds one score a class, shape (N, classes); the model's outputs: {made}. "
        f"targets.Value explains a number in any of them"
    )


def outputs_of(network: Network, name: str | None = None) -> list[gs.Tensor]:
    """All outputs, or the one of that name.

    Raises `ModelError` where there is none.
    """
    outputs: list[gs.Tensor] = network.graph.outputs
    if not outputs:
        raise ModelError("the model has no outputs; export it with its scores")
    if name is None:
        return outputs
    names = [tensor.name for tensor in outputs]
    if name not in names:
        near = nearest(name, names) or f"; there is {', '.join(names)}"
        raise ModelError(f"no output '{name}'{near}")
    return [outputs[names.index(name)]]


def _is_scores(tensor: gs.Tensor) -> bool:
    shape = tensor.shape
    if shape is None or len(shape) < 2 or not isinstance(shape[1], int):
        return False
    return all(dim == 1 for dim in shape[2:])


def before_decision(tensor: gs.Tensor) -> gs.Tensor:
    """What a final ArgMax or TopK decides by, past what only shapes the decision."""
    node = producer(tensor)
    while node is not None and node.op in (*_DECISIONS, "Identity", "Cast", "Squeeze"):
        if node.op in _DECISIONS:
            return node.inputs[0]
        node = producer(node.inputs[0])
    return tensor


def _step_back(tensor: gs.Tensor) -> Head:
    """The head that ends in `tensor`: past what changes no score, then past one activation."""
    probabilities = tensor
    node = producer(tensor)
    while node is not None and node.op in _TRANSPARENT and _is_scores(node.inputs[0]):
        if is_float(node.inputs[0]):
            probabilities = node.inputs[0]
        node = producer(node.inputs[0])
    if node is not None and node.op in ACTIVATIONS and _is_scores(node.inputs[0]):
        return Head(before_rounding(node.inputs[0]), probabilities, ACTIVATIONS[node.op])
    return Head(before_rounding(tensor), None, "logits")


def before_rounding(scores: gs.Tensor) -> gs.Tensor:
    """What a final pair of QuantizeLinear and DequantizeLinear rounds and cuts off.

    The best score is the one that saturates first, and then nothing would flow.
    """
    node = producer(scores)
    if node is None or node.op != "DequantizeLinear":
        return scores
    quantised = node.inputs[0]
    node = producer(quantised)
    return node.inputs[0] if node is not None and node.op == "QuantizeLinear" else quantised
