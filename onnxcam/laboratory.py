"""Where methods that need many runs get them: sessions made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.compose import Addition
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap
from onnxcam.graph.layers import TargetLayer
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput, find_image_input
from onnxcam.methods.scene import Scene
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Explained, Target

BATCH = 16
"""Pictures run together where the model leaves the batch open."""

_INDEX, _SCORE, _PROBABILITY = "cam_target", "cam_score", "cam_probability"
_ACTIVATIONS, _GRADIENT = "cam_activations", "cam_gradient"


@dataclass(frozen=True)
class Equipment:
    """A network's sessions for a target of one structure, each made when it is first needed."""

    network: Network
    layers: tuple[TargetLayer, ...]
    target: Target
    providers: Sequence[str] | None

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self._plain.provider

    @cached_property
    def image(self) -> ImageInput:
        return find_image_input(self.network)

    def answer(self, feeds: Arrays, target: Target) -> Arrays:
        """Every output of the model, the target's scalars, and the layer's activations."""
        return self._plain.run(feeds | target.feeds())

    def layer_gradients(self, feeds: Arrays, target: Target) -> tuple[np.ndarray, np.ndarray]:
        """Activations (N, ...) of the layer, and their gradient (N, K, ...)."""
        found = self._at_layer.run(feeds | target.feeds())
        return found[_ACTIVATIONS], found[_GRADIENT]

    def picture_gradients(self, feeds: Arrays, target: Target) -> np.ndarray:
        """Gradient of the target with respect to the picture, (N, K, ...)."""
        return self._at_picture.run(feeds | target.feeds())[_GRADIENT]

    @cached_property
    def _plain(self) -> Runner:
        def outputs(scene: Scene) -> dict[str, gs.Tensor]:
            explained = scene.explained
            found = {_INDEX: explained.index, _SCORE: explained.score}
            if explained.probability is not None:
                found[_PROBABILITY] = explained.probability
            if scene.layers:
                found[_ACTIVATIONS] = scene.e.cast(scene.features.tensor, np.float32)
            return found

        return self._session(outputs)

    @cached_property
    def _at_layer(self) -> Runner:
        def outputs(scene: Scene) -> dict[str, gs.Tensor]:
            activations = scene.e.cast(scene.features.tensor, np.float32)
            gradient = by_picture(scene.e, scene.gradient, scene.features.tensor)
            return {_ACTIVATIONS: activations, _GRADIENT: gradient}

        return self._session(outputs)

    @cached_property
    def _at_picture(self) -> Runner:
        def outputs(scene: Scene) -> dict[str, gs.Tensor]:
            tensor = self.network.tensors[self.image.name]
            gradient = scene.gradients([tensor.name])[tensor.name]
            return {_GRADIENT: by_picture(scene.e, gradient, tensor)}

        return self._session(outputs)

    def _session(self, outputs: Callable[[Scene], dict[str, gs.Tensor]]) -> Runner:
        e = Emitter(self.network)
        explained: Explained = self.target.emit(e)
        made = outputs(Scene(e, explained, self.layers))
        model = Addition(e, explained).serialized(made)
        return Runner(model, self.providers, self.network.folder)


def by_picture(e: Emitter, gradient: gs.Tensor, tensor: gs.Tensor) -> gs.Tensor:
    """A cotangent of `tensor` (N, ...) in full and in float32, (N, K, ...)."""
    full = e.cast(e.expand(gradient, tensor), np.float32)
    rank = len(tensor.shape)
    if len(full.shape) == rank:
        return e.unsqueeze(full, [1])
    return e.transpose(full, [1, 0, *range(2, rank + 1)])


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
        return self.seen[_ACTIVATIONS][self.n : self.n + 1]

    @property
    def score(self) -> np.ndarray:
        return self.seen[_SCORE][self.n]

    def scores(self, pictures: np.ndarray) -> np.ndarray:
        answers = (self.equipment.answer(f, self._target)[_SCORE] for f in self._batches(pictures))
        return self._joined(answers, len(pictures))

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        if not np.isfinite(self.seen[_PROBABILITY][self.n]).all():
            raise TargetError("the target has no probability; choose a class")
        batches = self._batches(pictures)
        answers = (self.equipment.answer(f, self._target)[_PROBABILITY] for f in batches)
        return self._joined(answers, len(pictures))

    def gradients(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [self.equipment.layer_gradients(f, self._target) for f in self._batches(pictures)]
        activations, gradients = zip(*found, strict=True)
        return self._joined(activations, len(pictures)), self._joined(gradients, len(pictures))

    def picture_gradients(self, pictures: np.ndarray) -> np.ndarray:
        batches = self._batches(pictures)
        answers = (self.equipment.picture_gradients(f, self._target) for f in batches)
        return self._joined(answers, len(pictures))

    @cached_property
    def _target(self) -> Target:
        return self.given.alone(self.n, self.seen[_INDEX][self.n])

    def _batches(self, pictures: np.ndarray) -> Iterator[Arrays]:
        """Feeds for some pictures at a time; a fixed batch is filled with the last one."""
        size = self.image.batch or BATCH
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            if self.image.batch:
                part = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            yield self._others(len(part)) | {self.image.name: part.astype(self.x.dtype)}

    def _others(self, count: int) -> Arrays:
        """What else the model is fed, for `count` copies of the picture."""
        total = len(self.feeds[self.image.name])
        return {
            name: np.repeat(value[self.n : self.n + 1], count, axis=0)
            if value.ndim and len(value) == total
            else value
            for name, value in self.feeds.items()
            if name != self.image.name
        }

    @staticmethod
    def _joined(parts: Iterator[np.ndarray] | Sequence[np.ndarray], count: int) -> np.ndarray:
        return np.concatenate(list(parts))[:count]
