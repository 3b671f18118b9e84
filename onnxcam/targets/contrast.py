"""Contrasts: why this class rather than that one?"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import OneHot, cotangent_dtype
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.targets.base import Case, Choice, Explained
from onnxcam.targets.classes import BEST, CLASS_INPUT, numbered, requested, require_class
from onnxcam.targets.scores import Scores, head_of, picked

AGAINST_INPUT = "cam_against"

REST = "the rest"
"""All classes but the one explained, by the log of the sum of their scores' exponentials."""


@dataclass(frozen=True)
class Contrast:
    """S = z_of - z_against, of the logits z; against several classes, minus their mean.

    Against `REST`, S = z_of - log sum_{c != of} exp z_c: of a Softmax that is the log-odds of the
    class, log p / (1 - p). `of` is a class number, a label or `BEST`, `against` one or several,
    which every run may choose (inputs `cam_class` and `cam_against`).
    """

    of: int | str = BEST
    against: int | str | tuple[int | str, ...] = REST
    output: str | None = None

    is_placed = False

    @property
    def structure(self) -> Hashable:
        return (Contrast, 0 if self._is_rest else len(self._others), self.output)

    def settled(self, case: Case) -> Contrast:
        head = head_of(case.network, self.output, independent=False)
        if head.classes < 2:
            raise TargetError("a contrast needs two classes, and the model has one")

        def number(one: int | str) -> int:
            index = case.index_of(one) if isinstance(one, str) else int(one)
            require_class(head, index)
            return index

        of = BEST if self.of == BEST else number(self.of)
        if self._is_rest:
            return replace(self, of=of)
        others = tuple(number(one) for one in self._others)
        if not others:
            raise TargetError("a contrast needs a class to compare with; targets.REST is all")
        if of in others:
            raise TargetError(f"class {of} cannot be compared with itself")
        return replace(self, of=of, against=others)

    def emit(self, e: Emitter) -> Explained:
        scores = Scores.of(e, head_of(e.network, self.output, independent=False))
        request, index = requested(scores, 1)
        choices = [Choice(request, self._numbers((self.of,)))]
        dtype = cotangent_dtype(scores.logits)
        this = OneHot(e.squeeze(index, [1]), scores.head.classes, dtype).dense(e)
        z = picked(e, scores.logits, index)
        if self._is_rest:
            highest = float(np.finfo(np.float32).max)
            logits = e.where(e.greater(this, 0), -highest, e.cast(scores.logits, dtype))
            others = e.unary("Softmax", logits, axis=1)
            against = _log_sum_exp(e, logits)
        else:
            count = len(self._others)
            wanted = gs.Variable(AGAINST_INPUT, np.dtype(np.int64), ["cam_batch", count])
            choices.append(Choice(wanted, self._numbers(self._others)))
            # One class a picture may be given for all of them.
            batched = e.add(wanted, e.mul(index, 0))
            batched.shape = [index.shape[0], count]
            hits = OneHot(batched, scores.head.classes, dtype).dense(e)
            others = e.reduce("ReduceMean", hits, [-2], keepdims=False)
            against = e.reduce("ReduceMean", picked(e, scores.logits, batched), [-1])
        score = e.sub(z, e.cast(against, np.float32))
        return Explained(tuple(choices), index, score, None, scores.seeds(e.sub(this, others)))

    def feeds(self) -> dict[str, np.ndarray]:
        given = {CLASS_INPUT: self._numbers((self.of,))}
        return given if self._is_rest else given | {AGAINST_INPUT: self._numbers(self._others)}

    def alone(self, n: int, index: np.ndarray) -> Contrast:
        return replace(self, of=int(index[0]))

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        if self._is_rest:
            return f"{names(index) or index} - {REST}"
        against = ", ".join(names(int(one)) or str(one) for one in self._others)
        return f"{names(index) or index} - {against}"

    def key(self, k: int, index: int) -> str:
        against = "rest" if self._is_rest else "+".join(str(one) for one in self._others)
        return f"{numbered(index)}-{against}"

    @property
    def _is_rest(self) -> bool:
        return self.against == REST

    @property
    def _others(self) -> tuple[int | str, ...]:
        return self.against if isinstance(self.against, tuple) else (self.against,)

    @staticmethod
    def _numbers(classes: tuple[int | str, ...]) -> np.ndarray:
        return np.array([classes], np.int64)


def _log_sum_exp(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    """Over the last axis, (N, 1), without overflow."""
    highest = e.reduce("ReduceMax", x, [-1])
    total = e.reduce("ReduceSum", e.unary("Exp", e.sub(x, highest)), [-1])
    return e.add(highest, e.unary("Log", total))
