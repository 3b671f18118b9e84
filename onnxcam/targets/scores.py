"""The scores that a model gives its classes, as targets read and differentiate them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.rules.quantization import before_saturation, dequantized
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.head import Head
from onnxcam.graph.network import Network
from onnxcam.graph.quantized import quantization_of
from onnxcam.targets.offer import require_head


def head_of(network: Network, output: str | None, independent: bool) -> Head:
    """The head to explain; `independent` says that bare logits are those of a Sigmoid.

    Raises the errors of `require_head`, and `TargetError` where the classes share a Softmax.
    """
    head = require_head(network, output)
    if not independent or head.kind == "sigmoid":
        return head
    if head.kind != "logits":
        raise TargetError(
            f"the model's {head.classes} classes share a Softmax: one of them is present, not "
            f"several; explain the best ones with top"
        )
    return replace(head, kind="sigmoid")


@dataclass(frozen=True)
class Scores:
    """A head's scores, emitted as real numbers.

    `logits` and `probabilities` are (N, classes); of one unit that decides between two classes
    they are (-z, z) and (1 - p, p).
    """

    e: Emitter
    head: Head
    logits: gs.Tensor
    probabilities: gs.Tensor

    @classmethod
    def of(cls, e: Emitter, head: Head) -> Scores:
        """Emit what the model does not give itself."""
        units = e.reshape(real(e, head.logits), list(head.logits.shape[:2]))
        p = _probabilities(e, head, units)
        if head.is_binary:
            units = e.concat([e.unary("Neg", units), units], -1)
            p = e.concat([e.sub(1, p), p], -1)
        return cls(e, head, units, p)

    def best(self, top: int) -> gs.Tensor:
        """Indices of the `top` highest logits, best first, (N, top); of equal ones the lower.

        A unit that decides between two classes decides for 1 from p = 0.5 on.
        """
        e, shape = self.e, [self.logits.shape[0], top]
        if self.head.is_binary:
            no = e.cast(e.less(e.slice(self.logits, -1, 1, 2), 0), np.int64)
            yes = e.sub(1, no)
            return yes if top == 1 else e.concat([yes, no], -1)
        if top == 1:
            return e.op(
                "ArgMax", self.logits, shape=shape, dtype=np.dtype(np.int64), axis=1, keepdims=1
            )
        values = e.op("TopK", self.logits, e.ints(top), shape=shape, axis=1)
        indices = gs.Variable(f"{values.name}_indices", np.dtype(np.int64), shape)
        values.inputs[0].outputs.append(indices)
        return indices

    def seeds(self, cotangent: Cotangent) -> dict[str, Cotangent]:
        """Where a gradient starts whose cotangent of `logits` is given, (N, classes) or
        (K, N, classes)."""
        e, primal = self.e, self.head.logits
        if self.head.is_binary:
            no, yes = (e.slice(dense(e, cotangent), -1, at, at + 1) for at in (0, 1))
            cotangent = e.sub(yes, no)
        if len(primal.shape) > 2:
            flat = dense(e, cotangent)
            rank = len(flat.shape) + len(primal.shape) - 2
            cotangent = e.unsqueeze(flat, range(len(flat.shape), rank))
        unit = _unit(e, primal)
        if unit is None:
            return {primal.name: cotangent}
        return dict(before_saturation(e, primal, e.mul(dense(e, cotangent), unit)))

    def through_activation(self, dp: gs.Tensor) -> gs.Tensor:
        """Cotangent of the logits from that of the probabilities."""
        e = self.e
        p = e.cast(self.probabilities, dp.dtype)
        if self.head.kind == "sigmoid" or self.head.classes == 1:
            return e.mul(dp, e.mul(p, e.sub(1, p)))
        total = e.reduce("ReduceSum", e.mul(dp, p), [-1])
        return e.mul(p, e.sub(dp, total))


def picked(e: Emitter, values: gs.Tensor, index: gs.Tensor) -> gs.Tensor:
    """`values[n, index[n, k]]`, float32 (N, K)."""
    found = e.op("GatherElements", values, index, shape=list(index.shape), axis=1)
    return e.cast(found, np.float32)


def real(e: Emitter, tensor: gs.Tensor) -> gs.Tensor:
    """A tensor as real numbers, which a quantised model may store as integers."""
    quantization = quantization_of(tensor)
    return tensor if quantization is None else dequantized(e, tensor, *quantization)


def _unit(e: Emitter, scores: gs.Tensor) -> gs.Tensor | None:
    """What one step of quantised scores is worth; None for real ones."""
    quantization = quantization_of(scores)
    return None if quantization is None else e.cast(quantization[0], np.float32)


def _probabilities(e: Emitter, head: Head, logits: gs.Tensor) -> gs.Tensor:
    if head.probabilities is not None and head.kind != "log_softmax":
        return e.reshape(head.probabilities, list(logits.shape))
    if head.units == 1 or head.kind == "sigmoid":
        return e.unary("Sigmoid", logits)
    return e.unary("Softmax", logits, axis=1)
