"""Targets that stand for classes which the model or the picture names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxcam.errors import AbsentError, TargetError
from onnxcam.targets.base import Case
from onnxcam.targets.classes import Classes
from onnxcam.targets.offer import require_head
from onnxcam.targets.scores import head_of


@dataclass(frozen=True)
class All:
    """Every class, in the model's order: as many maps as the model has classes."""

    score: str = "logit"
    output: str | None = None

    def settled(self, case: Case) -> Classes:
        head = head_of(case.network, self.output, independent=False)
        return Classes(tuple(range(head.classes)), self.score, self.output).settled(case)


@dataclass(frozen=True)
class Present:
    """Every class of a multi-label model whose probability exceeds `threshold`, the best first.

    Bare scores are taken for those of a Sigmoid; classes that share a Softmax are refused.
    """

    threshold: float = 0.5
    score: str = "logit"
    output: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise TargetError(f"the threshold {self.threshold} is no probability below 1")

    def settled(self, case: Case) -> Classes:
        head = head_of(case.network, self.output, independent=True)
        every = tuple(range(head.classes))
        _, _, found = case.measure(Classes(every, self.score, self.output, independent=True))
        rows = tuple(self._exceeding(row, case) for row in found)
        if len({len(row) for row in rows}) > 1:
            raise TargetError(
                "the pictures of one batch show different numbers of classes; run them one by one"
            )
        return Classes(rows, self.score, self.output, independent=True)

    def _exceeding(self, probabilities: np.ndarray, case: Case) -> tuple[int, ...]:
        best = np.argsort(-probabilities, kind="stable")
        present = tuple(int(c) for c in best if probabilities[c] > self.threshold)
        if not present:
            raise AbsentError(
                f"no class's probability exceeds {self.threshold:g}; the highest is "
                f"{probabilities[best[0]]:.3g}, of class {best[0]}"
            )
        return present


@dataclass(frozen=True)
class Side:
    """One of the two classes of a binary model of one unit, "yes" or "no".

    Says of a bare output that it is the logit of a Sigmoid, which the file does not tell.
    """

    answer: str
    score: str = "logit"
    output: str | None = None

    def __post_init__(self) -> None:
        if self.answer not in ("yes", "no"):
            raise TargetError(f"a binary model answers 'yes' or 'no', not '{self.answer}'")

    def settled(self, case: Case) -> Classes:
        head = require_head(case.network, self.output)
        if head.units != 1:
            raise TargetError(
                f"'{self.answer}' is for a model of one unit, and this one has {head.units} "
                f"classes; choose one of 0 to {head.units - 1}"
            )
        side = int(self.answer == "yes")
        return Classes((side,), self.score, self.output, independent=True).settled(case)
