"""Classes: given by number or label, or the model's own best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import OneHot, cotangent_dtype
from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.head import Head
from onnxcam.targets.base import Case, Choice, Explained, Target, Wanted
from onnxcam.targets.scores import Scores, head_of, picked

CLASS_INPUT = "cam_class"
BEST = -1
"""In `cam_class`: no class of one's own; the k-th entry then means the k-th best class."""

SCORES = ("logit", "probability")


@dataclass(frozen=True)
class Classes:
    """The scores of K classes: numbers, labels, or `BEST` for the k-th best of each picture.

    `score` says what is differentiated, "logit" or "probability". Several pictures may have
    classes of their own: then `wanted` holds a tuple for each of them. `output` names the output
    that holds the classes, where it is not the first that does. `independent` says that bare
    scores are those of a Sigmoid each, not of one Softmax.

    One unit with a Sigmoid has two classes, 0 (no) and 1 (yes), with the logits -z and z and the
    probabilities 1 - p and p.
    """

    wanted: tuple[int | str, ...] | tuple[tuple[int | str, ...], ...] = (BEST,)
    score: str = "logit"
    output: str | None = None
    independent: bool = False

    is_placed = False

    @classmethod
    def best(cls, count: int, score: str = "logit", output: str | None = None) -> Classes:
        """The `count` best classes of each picture."""
        return cls((BEST,) * count, score, output)

    @property
    def count(self) -> int:
        """K."""
        return len(self._rows[0])

    @property
    def structure(self) -> Hashable:
        return (Classes, self.count, self.score, self.output, self.independent)

    def settled(self, case: Case) -> Classes:
        rows = [
            tuple(case.index_of(one) if isinstance(one, str) else int(one) for one in row)
            for row in self._rows
        ]
        found = replace(self, wanted=tuple(rows))
        head = head_of(case.network, self.output, self.independent)
        require_top(head, self.count)
        for index in found._numbers().flat:
            if index != BEST:
                require_class(head, int(index))
        return found

    def emit(self, e: Emitter) -> Explained:
        if self.score not in SCORES:
            raise TargetError(f"no score '{self.score}'; there are 'logit' and 'probability'")
        head = head_of(e.network, self.output, self.independent)
        require_top(head, self.count)
        scores = Scores.of(e, head)
        request, index = requested(scores, self.count)
        by_target = e.squeeze(index, [1]) if self.count == 1 else e.transpose(index, (1, 0))
        cotangent: Cotangent = OneHot(by_target, head.classes, cotangent_dtype(scores.logits))
        if self.score == "probability":
            cotangent = scores.through_activation(cotangent.dense(e))
        probability = picked(e, scores.probabilities, index)
        return Explained(
            (Choice(request, self._numbers()),),
            index,
            picked(e, scores.logits, index),
            probability,
            scores.seeds(cotangent),
            scalar=probability if self.score == "probability" else None,
        )

    def feeds(self) -> dict[str, np.ndarray]:
        return {CLASS_INPUT: self._numbers()}

    def alone(self, n: int, index: np.ndarray) -> Classes:
        return replace(self, wanted=tuple(int(one) for one in index))

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        return names(index)

    def key(self, k: int, index: int) -> str:
        return numbered(index)

    def _takes(self, other: Classes) -> bool:
        """Whether the classes of both can be those of one target."""
        same = self == replace(other, wanted=self.wanted)
        single = len(self._rows) == len(other._rows) == 1
        return same and single and BEST not in (*self._rows[0], *other._rows[0])

    @property
    def _rows(self) -> list[tuple[int | str, ...]]:
        if self.wanted and isinstance(self.wanted[0], tuple):
            return [one for one in self.wanted if isinstance(one, tuple)]
        return [tuple(one for one in self.wanted if not isinstance(one, tuple))]

    def _numbers(self) -> np.ndarray:
        return np.array(self._rows, np.int64)


def in_parts(target: Target, size: int) -> list[Target]:
    """More than `size` classes as targets of that many each; any other target as it is.

    The best ones stay together, because their ranks count from the first.
    """
    if not isinstance(target, Classes) or target.count <= size or BEST in target._numbers():
        return [target]
    return [
        replace(target, wanted=tuple(row[start : start + size] for row in target._rows))
        for start in range(0, target.count, size)
    ]


def together(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Targets in their order, neighbouring classes joined: one run explains them all."""
    joined: list[Wanted] = []
    for one in wanted:
        last = joined[-1] if joined else None
        if isinstance(one, Classes) and isinstance(last, Classes) and last._takes(one):
            joined[-1] = replace(last, wanted=(*last._rows[0], *one._rows[0]))
        else:
            joined.append(one)
    return joined


def requested(scores: Scores, count: int) -> tuple[gs.Variable, gs.Tensor]:
    """The input `cam_class`, (N, count), and the classes that it chooses, the best for -1."""
    e = scores.e
    request = gs.Variable(CLASS_INPUT, np.dtype(np.int64), ["cam_batch", count])
    index = e.where(e.less(request, 0), scores.best(count), request)
    index.shape = [scores.logits.shape[0], count]
    return request, index


def numbered(index: int) -> str:
    """A class's number in words that need no other: files' names, metadata."""
    return "best" if index == BEST else str(index)


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
