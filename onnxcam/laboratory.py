"""What methods that run the model many times get of one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onnxcam.batches import count_of, filled_up, in_batches
from onnxcam.behind import Rerun
from onnxcam.equipment import ACTIVATIONS, CHOSEN, CROSSED, GRADIENT, Equipment
from onnxcam.errors import TargetError
from onnxcam.graph.features import FeatureMap
from onnxcam.graph.picture import ImageInput
from onnxcam.outputs import INDEX, PROBABILITY, SCALAR, SCORE
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Held, Target

BATCH = 16
"""Pictures run together where the model leaves the batch open."""


def held(given: Target, seen: Arrays, n: int) -> Target:
    """The n-th picture's target, to be kept for changed copies of it, after an unchanged run."""
    chosen = {
        name.removesuffix(CHOSEN): value[n : n + 1]
        for name, value in seen.items()
        if name.endswith(CHOSEN)
    }
    alone = given.alone(n, seen[INDEX][n])
    return Held(alone, chosen) if chosen else alone


@dataclass(frozen=True)
class Laboratory:
    """The `Lab` of one picture: the n-th of `feeds`, whose unchanged run gave `seen`."""

    equipment: Equipment
    feeds: Arrays
    given: Target
    seen: Arrays
    n: int

    @property
    def image(self) -> ImageInput:
        return self.equipment.image

    @property
    def features(self) -> FeatureMap:
        return self.equipment.layers[0].features

    @property
    def x(self) -> np.ndarray:
        return self.feeds[self.image.name][self.n : self.n + 1]

    @cached_property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(0)

    @property
    def activations(self) -> np.ndarray:
        return self.seen[ACTIVATIONS][self.n : self.n + 1]

    @property
    def score(self) -> np.ndarray:
        return _scalar_of(self.seen)[self.n]

    @property
    def has_probability(self) -> bool:
        return bool(np.isfinite(self.seen[PROBABILITY][self.n]).all())

    def scores(self, pictures: np.ndarray) -> np.ndarray:
        return _scalar_of(self._of_pictures(pictures))

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        if not self.has_probability:
            raise TargetError("the target has no probability; choose a class")
        return self._of_pictures(pictures)[PROBABILITY]

    def head_scores(
        self, activations: np.ndarray, skips: Mapping[str, np.ndarray] | None = None
    ) -> np.ndarray:
        variants = {self.features.tensor.name: activations, **(skips or {})}
        return _scalar_of(self._head.answers(variants))

    @property
    def pools(self) -> bool:
        return self.equipment.pooled is not None

    def scores_of_means(self, means: np.ndarray) -> np.ndarray:
        pooled = self.equipment.pooled
        assert pooled is not None
        return _scalar_of(self._pooled.answers({pooled.tensor.name: pooled.laid_out(means)}))

    @property
    def skips(self) -> dict[str, tuple[FeatureMap, np.ndarray]]:
        values = self._head.crossing
        return {name: (found, values[name][:1]) for name, found in self.equipment.skips.items()}

    def _of_pictures(self, pictures: np.ndarray) -> Arrays:
        return self._whole.answers({self.image.name: pictures.astype(self.x.dtype)})

    @cached_property
    def _whole(self) -> Rerun:
        return Rerun(self.equipment.behind_picture, self._copies, self._target)

    @cached_property
    def _head(self) -> Rerun:
        seen = {
            name.removesuffix(CROSSED): value[self.n : self.n + 1]
            for name, value in self.seen.items()
            if name.endswith(CROSSED)
        }
        return Rerun(self.equipment.behind_layer, self._copies, self._target, seen)

    @cached_property
    def _pooled(self) -> Rerun:
        return Rerun(self.equipment.behind_pooled, self._copies, self._target)

    def _copies(self, count: int) -> Arrays:
        return self._others(count) | {self.image.name: np.repeat(self.x, count, axis=0)}

    def gradients(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._answers(self.equipment.at_layer, pictures)
        return found[ACTIVATIONS], found[GRADIENT]

    def picture_gradients(self, pictures: np.ndarray) -> np.ndarray:
        return self._answers(self.equipment.at_picture, pictures)[GRADIENT]

    @cached_property
    def _target(self) -> Target:
        return held(self.given, self.seen, self.n)

    def _answers(self, runner: Runner, pictures: np.ndarray) -> Arrays:
        """What a session that is fed like the model says of some pictures."""

        def run(some: Arrays) -> Arrays:
            return runner.run(self._others(count_of(some)) | some | self._target.feeds())

        values = {self.image.name: pictures.astype(self.x.dtype)}
        fixed = self.image.batch
        return in_batches(lambda some: filled_up(run, some, fixed or 1), values, fixed or BATCH)

    def _others(self, count: int) -> Arrays:
        """What else the model is fed, for `count` copies of the picture."""
        total = len(self.feeds[self.image.name])
        return {
            name: np.repeat(value[self.n : self.n + 1], count, axis=0)
            if value.ndim and len(value) == total and self._is_per_picture(name)
            else value
            for name, value in self.feeds.items()
            if name != self.image.name
        }

    def _is_per_picture(self, name: str) -> bool:
        """Whether axis 0 of another input counts pictures: a fixed length does not, theirs open."""
        length = self.equipment.network.tensors[name].shape[0]
        return not isinstance(length, int) or length == self.image.batch


def _scalar_of(answer: Arrays) -> np.ndarray:
    return answer.get(SCALAR, answer[SCORE])
