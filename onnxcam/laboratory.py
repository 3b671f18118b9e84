"""Where methods that need many runs get them: sessions made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.batches import count_of, filled_up, in_batches
from onnxcam.behind import Rerun, Section
from onnxcam.compose import Addition
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, as_feature_map
from onnxcam.graph.layers import TargetLayer
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput, find_image_input
from onnxcam.graph.pooling import Pooled, pooled
from onnxcam.graph.roles import follow_roles
from onnxcam.methods.scene import Scene
from onnxcam.outputs import INDEX, PROBABILITY, SCALAR, SCORE, fetched, known_of, scalars_of
from onnxcam.providers import Providers
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Explained, Held, Target

BATCH = 16
"""Pictures run together where the model leaves the batch open."""

ACTIVATIONS, _GRADIENT = "cam_activations", "cam_gradient"
_CHOSEN = "/chosen"
_CROSSED = "/crossed"


@dataclass(frozen=True)
class Equipment:
    """A network's sessions for a target of one structure, each made when it is first needed.

    Where the method `runs_behind` the layer, the unchanged run gives what crosses there too.
    """

    network: Network
    layers: tuple[TargetLayer, ...]
    target: Target
    providers: Providers
    runs_behind: bool = False

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self._plain.provider

    @cached_property
    def image(self) -> ImageInput:
        return find_image_input(self.network)

    def answer(self, feeds: Arrays, target: Target, own: Collection[str] | None = None) -> Arrays:
        """The target's scalars, the layer's activations, and of the model's own outputs those in
        `own`, or all of them."""
        wanted = fetched(self._plain.outputs, self.network, own)
        return self._plain.run(feeds | target.feeds(), wanted)

    def layer_gradients(self, feeds: Arrays, target: Target) -> tuple[np.ndarray, np.ndarray]:
        """Activations (N, ...) of the layer, and their gradient (N, K, ...)."""
        found = self.at_layer.run(feeds | target.feeds())
        return found[ACTIVATIONS], found[_GRADIENT]

    def picture_gradients(self, feeds: Arrays, target: Target) -> np.ndarray:
        """Gradient of the target with respect to the picture, (N, K, ...)."""
        return self.at_picture.run(feeds | target.feeds())[_GRADIENT]

    @cached_property
    def behind_picture(self) -> Section:
        """The target's scalars as functions of the picture."""
        return self._behind(self.network.tensors[self.image.name])

    @cached_property
    def behind_layer(self) -> Section:
        """The target's scalars as functions of the layer's activations."""
        return self._behind(self.layers[0].features.tensor)

    def _behind(self, tensor: gs.Tensor) -> Section:
        return Section(
            self.network, (tensor,), self.target, scalars_of, self.image.batch, self.providers
        )

    @cached_property
    def pooled(self) -> Pooled | None:
        """The mean over all places, where that is all that is read of the layer."""
        return pooled(self.network, self.layers[0].features)

    @cached_property
    def behind_pooled(self) -> Section:
        """The target's scalars as functions of that mean."""
        assert self.pooled is not None
        return self._behind(self.pooled.tensor)

    @cached_property
    def skips(self) -> dict[str, FeatureMap]:
        """The feature maps that reach the target around the layer, by name."""
        roles = follow_roles(self.network)
        crossing = self.behind_layer.crossing
        maps = {name: as_feature_map(t, roles.get(name)) for name, t in crossing.items()}
        return {name: found for name, found in maps.items() if found is not None}

    @cached_property
    def _plain(self) -> Runner:
        def outputs(scene: Scene) -> dict[str, gs.Tensor]:
            explained = scene.explained
            found = known_of(explained)
            found.update({name + _CHOSEN: value for name, value in explained.chosen.items()})
            if scene.layers:
                found[ACTIVATIONS] = scene.e.cast(scene.features.tensor, np.float32)
            if self.runs_behind and self.pooled is None:
                crossing = self.behind_layer.by_picture
                found.update({name + _CROSSED: tensor for name, tensor in crossing.items()})
            return found

        return self._session(outputs)

    @cached_property
    def at_layer(self) -> Runner:
        """Gives the layer's activations and their gradient."""

        def outputs(scene: Scene) -> dict[str, gs.Tensor]:
            activations = scene.e.cast(scene.features.tensor, np.float32)
            gradient = by_picture(scene.e, scene.gradient, scene.features.tensor)
            return {ACTIVATIONS: activations, _GRADIENT: gradient}

        return self._session(outputs)

    @cached_property
    def at_picture(self) -> Runner:
        """Gives the picture's gradient."""

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


def _scalar_of(answer: Arrays) -> np.ndarray:
    return answer.get(SCALAR, answer[SCORE])


def by_picture(e: Emitter, gradient: gs.Tensor, tensor: gs.Tensor) -> gs.Tensor:
    """A cotangent of `tensor` (N, ...) in full and in float32, (N, K, ...)."""
    full = e.cast(e.expand(gradient, tensor), np.float32)
    rank = len(tensor.shape)
    if len(full.shape) == rank:
        return e.unsqueeze(full, [1])
    return e.transpose(full, [1, 0, *range(2, rank + 1)])


def held(given: Target, seen: Arrays, n: int) -> Target:
    """The n-th picture's target, to be kept for changed copies of it, after an unchanged run."""
    chosen = {
        name.removesuffix(_CHOSEN): value[n : n + 1]
        for name, value in seen.items()
        if name.endswith(_CHOSEN)
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
            name.removesuffix(_CROSSED): value[self.n : self.n + 1]
            for name, value in self.seen.items()
            if name.endswith(_CROSSED)
        }
        return Rerun(self.equipment.behind_layer, self._copies, self._target, seen)

    @cached_property
    def _pooled(self) -> Rerun:
        return Rerun(self.equipment.behind_pooled, self._copies, self._target)

    def _copies(self, count: int) -> Arrays:
        return self._others(count) | {self.image.name: np.repeat(self.x, count, axis=0)}

    def gradients(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._answers(self.equipment.at_layer, pictures)
        return found[ACTIVATIONS], found[_GRADIENT]

    def picture_gradients(self, pictures: np.ndarray) -> np.ndarray:
        return self._answers(self.equipment.at_picture, pictures)[_GRADIENT]

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
