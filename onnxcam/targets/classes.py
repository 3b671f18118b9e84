"""Classes: given by number or label, or the model's own best."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import OneHot, cotangent_dtype
from onnxcam.autodiff.registry import Cotangent
from onnxcam.autodiff.rules.quantization import before_saturation, dequantized
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.head import Head, find_head
from onnxcam.graph.network import is_float
from onnxcam.graph.quantized import quantization_of
from onnxcam.targets.base import Case, Choice, Explained

CLASS_INPUT = "cam_class"
BEST = -1
"""In `cam_class`: no class of one's own; the k-th entry then means the k-th best class."""

SCORES = ("logit", "probability")


@dataclass(frozen=True)
class Classes:
    """The scores of K classes: numbers, labels, or `BEST` for the k-th best of each picture.

    `score` says what is differentiated, "logit" or "probability". Several pictures may have
    classes of their own: then `wanted` holds a tuple for each of them.
    """

    wanted: tuple[int | str, ...] | tuple[tuple[int | str, ...], ...] = (BEST,)
    score: str = "logit"

    @classmethod
    def best(cls, count: int, score: str = "logit") -> Classes:
        """The `count` best classes of each picture."""
        return cls((BEST,) * count, score)

    @property
    def count(self) -> int:
        """K."""
        return len(self._rows[0])

    @property
    def structure(self) -> Hashable:
        return (Classes, self.count, self.score)

    def settled(self, case: Case) -> Classes:
        rows = [
            tuple(case.index_of(one) if isinstance(one, str) else int(one) for one in row)
            for row in self._rows
        ]
        found = replace(self, wanted=tuple(rows))
        head = find_head(case.network)
        require_top(head, self.count)
        for index in found._numbers().flat:
            if index != BEST:
                require_class(head, int(index))
        return found

    def emit(self, e: Emitter) -> Explained:
        head = find_head(e.network)
        require_top(head, self.count)
        return emit_classes(e, head, self._numbers(), self.score)

    def feeds(self) -> dict[str, np.ndarray]:
        return {CLASS_INPUT: self._numbers()}

    def alone(self, n: int, index: np.ndarray) -> Classes:
        return replace(self, wanted=tuple(int(one) for one in index))

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        return names(index)

    @property
    def _rows(self) -> list[tuple[int | str, ...]]:
        if self.wanted and isinstance(self.wanted[0], tuple):
            return [one for one in self.wanted if isinstance(one, tuple)]
        return [tuple(one for one in self.wanted if not isinstance(one, tuple))]

    def _numbers(self) -> np.ndarray:
        return np.array(self._rows, np.int64)


def emit_classes(e: Emitter, head: Head, wanted: np.ndarray, score: str) -> Explained:
    """Let each run choose K classes an image through `cam_class`; left out, `wanted`, (1, K).

    Raises `TargetError` for an unknown score.
    """
    if score not in SCORES:
        raise TargetError(f"no score '{score}'; there are 'logit' and 'probability'")
    top = wanted.shape[1]
    unit = _unit(e, head.logits)
    logits = e.reshape(_real(e, head.logits), list(head.logits.shape[:2]))
    request = gs.Variable(CLASS_INPUT, np.dtype(np.int64), ["cam_batch", top])
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
    seeds: dict[str, Cotangent] = {head.logits.name: cotangent}
    if unit is not None:
        dense = cotangent.dense(e) if isinstance(cotangent, OneHot) else cotangent
        seeds = dict(before_saturation(e, head.logits, e.mul(dense, unit)))
    return Explained(
        (Choice(request, wanted),),
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


def require_class(head: Head, index: int) -> None:
    """Raise `TargetError` unless the model has a class of that number."""
    if not 0 <= index < head.classes:
        raise TargetError(
            f"class {index} does not exist; the model has classes 0 to {head.classes - 1}"
        )
