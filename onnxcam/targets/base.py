"""What a target is: the scalar of an image whose gradient explains it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.errors import TargetError
from onnxcam.frame import Frame
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network


@dataclass(frozen=True)
class Choice:
    """A graph input through which a run chooses what is explained, and its value if left out."""

    variable: gs.Variable
    default: np.ndarray


@dataclass(frozen=True)
class Explained:
    """A target as emitted: K scalars an image, and where their gradients start.

    `index` is int64 (N, K), the class, row or element explained; `score` float32 (N, K), the
    scalars (of classes their logits, whatever is differentiated); `probability` float32 (N, K),
    or None where the scalar has none. `seeds` are the cotangents from which the walk starts, with
    a leading axis of K when K > 1. `chosen` holds what the graph chose for itself, by the choices'
    names: fed with that, changed copies of a picture are asked for just the same. `box`, of a
    target that is a detection, is where it lies: float32 (N, K, 4), x1, y1, x2, y2 in the input's
    pixels. `scalar`, float32 (N, K), is what is differentiated where that is not `score`.
    """

    choices: tuple[Choice, ...]
    index: gs.Tensor
    score: gs.Tensor
    probability: gs.Tensor | None
    seeds: dict[str, Cotangent]
    chosen: dict[str, gs.Tensor] = field(default_factory=dict)
    box: gs.Tensor | None = None
    scalar: gs.Tensor | None = None

    @property
    def count(self) -> int:
        """K."""
        return int(self.index.shape[1])


def _no_labels(label: str) -> int:
    raise TargetError(f"no label '{label}': the model carries no labels; give the class by number")


def _no_pictures(target: Target) -> tuple[np.ndarray, ...]:
    raise TargetError("this target depends on the picture, and there is none yet")


@dataclass(frozen=True)
class Case:
    """What a target may need to know before it is emitted.

    `index_of` turns a label into a class number; `answer()` runs the model on the pictures to be
    explained, `answer(image)` on another one (a path or array): every output by name.
    `measure(target)` runs it for the scalars of another target: (index, score, probability), each
    (N, K), the latter NaN where it has none. `frame` says where a picture lies in the model's
    input; None where only the input is known: then its pixels are the picture's.
    """

    network: Network
    answer: Callable[..., dict[str, np.ndarray]]
    index_of: Callable[[str], int] = field(default=_no_labels)
    measure: Callable[[Target], tuple[np.ndarray, ...]] = field(default=_no_pictures)
    frame: Frame | None = None

    def of_picture(self, n: int) -> Case:
        """The case of the n-th picture alone."""

        def answer(image: object = None) -> dict[str, np.ndarray]:
            if image is not None:
                return self.answer(image)
            return {name: value[n : n + 1] for name, value in self.answer().items()}

        def measure(target: Target) -> tuple[np.ndarray, ...]:
            return tuple(value[n : n + 1] for value in self.measure(target))

        return replace(self, answer=answer, measure=measure)


class Wanted(Protocol):
    """What somebody wants explained: a target, or what becomes one for the pictures at hand."""

    def settled(self, case: Case) -> Target:
        """The target with everything looked up that only the model or the picture knows.

        Raises `TargetError` that says what the model offers.
        """


class Target(Wanted, Protocol):
    """What is being explained.

    A target is settled for the pictures at hand (labels become numbers, boxes rows), emitted once
    for every `structure`, and then chooses through `feeds` in every run.
    """

    @property
    def structure(self) -> Hashable:
        """What the emitted nodes depend on: targets of one structure share a graph."""

    @property
    def is_placed(self) -> bool:
        """Whether this is tied to a place in the picture, so that it would move with it."""

    def emit(self, e: Emitter) -> Explained:
        """Emit the scalars; this target's own values are the defaults of its choices."""

    def feeds(self) -> dict[str, np.ndarray]:
        """Values of the choices, by name; axis 0 is 1 or the number of pictures."""

    def alone(self, n: int, index: np.ndarray) -> Target:
        """The target of the n-th picture alone, which keeps to what the model chose for it.

        `index`, int64 (K,), is the picture's row of `Explained.index`: changed copies of the
        picture are asked for just that.
        """

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        """What the k-th scalar is called, given its index and the names of classes."""

    def key(self, k: int, index: int) -> str:
        """What the k-th scalar is called in the names of files: a class's number, say."""


def seeds_of(e: Emitter, score: gs.Tensor) -> dict[str, Cotangent]:
    """Where the gradients of emitted scalars (N, K) start: one for each of the K."""
    count = int(score.shape[1])
    ones = np.ones((1, 1)) if count == 1 else np.eye(count)[:, None, :]
    return {score.name: e.constant(ones, np.float32)}


@dataclass(frozen=True)
class Several:
    """One target a picture, all of one structure."""

    each: tuple[Target, ...]

    @property
    def structure(self) -> Hashable:
        return self.each[0].structure

    @property
    def is_placed(self) -> bool:
        return any(one.is_placed for one in self.each)

    def settled(self, case: Case) -> Target:
        return self

    def emit(self, e: Emitter) -> Explained:
        return self.each[0].emit(e)

    def feeds(self) -> dict[str, np.ndarray]:
        rows = [one.feeds() for one in self.each]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def alone(self, n: int, index: np.ndarray) -> Target:
        return self.each[n].alone(0, index)

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        return self.each[0].label(k, index, names)

    def key(self, k: int, index: int) -> str:
        return self.each[0].key(k, index)


@dataclass(frozen=True)
class Held:
    """A target that keeps to what the graph chose for it before, by the choices' names."""

    target: Target
    chosen: dict[str, np.ndarray]

    @property
    def structure(self) -> Hashable:
        return self.target.structure

    @property
    def is_placed(self) -> bool:
        return self.target.is_placed

    def settled(self, case: Case) -> Target:
        return self

    def emit(self, e: Emitter) -> Explained:
        return self.target.emit(e)

    def feeds(self) -> dict[str, np.ndarray]:
        return self.target.feeds() | self.chosen

    def alone(self, n: int, index: np.ndarray) -> Target:
        chosen = {name: value[n : n + 1] for name, value in self.chosen.items()}
        return Held(self.target.alone(n, index), chosen)

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        return self.target.label(k, index, names)

    def key(self, k: int, index: int) -> str:
        return self.target.key(k, index)


def joined(targets: Sequence[Wanted], case: Case) -> Target:
    """The settled targets of a batch of pictures, as one.

    Raises `TargetError` where they need different graphs.
    """
    if all(one is targets[0] for one in targets):
        return targets[0].settled(case)
    each = tuple(one.settled(case.of_picture(n)) for n, one in enumerate(targets))
    if len({one.structure for one in each}) > 1:
        raise TargetError(
            "the pictures of one batch have targets of different kinds; run them one by one"
        )
    return Several(each)
