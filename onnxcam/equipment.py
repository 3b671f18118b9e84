"""A network's sessions for a target, for methods that run it many times."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import is_straight_through
from onnxcam.behind import Section
from onnxcam.compose import Addition
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, as_feature_map
from onnxcam.graph.layers import TargetLayer
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput, find_image_input
from onnxcam.graph.pooling import Pooled, pooled
from onnxcam.graph.roles import follow_roles
from onnxcam.methods.scene import Scene
from onnxcam.outputs import fetched, known_of, scalars_of
from onnxcam.providers import Providers
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Explained, Target

ACTIVATIONS, GRADIENT = "cam_activations", "cam_gradient"
CHOSEN, CROSSED = "/chosen", "/crossed"
"""What the names end with of what a target chose for itself, and of what crosses at the layer."""


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

    @cached_property
    def is_straight_through(self) -> bool:
        """Whether rounding lies between the layers and the target's scalars."""
        e = Emitter(self.network)
        seeds = self.target.emit(e).seeds
        return is_straight_through(e, [layer.name for layer in self.layers], seeds)

    def answer(self, feeds: Arrays, target: Target, own: Collection[str] | None = None) -> Arrays:
        """The target's scalars, the layer's activations, and of the model's own outputs those in
        `own`, or all of them."""
        wanted = fetched(self._plain.outputs, self.network, own)
        return self._plain.run(feeds | target.feeds(), wanted)

    def layer_gradients(self, feeds: Arrays, target: Target) -> tuple[np.ndarray, np.ndarray]:
        """Activations (N, ...) of the layer, and their gradient (N, K, ...)."""
        found = self.at_layer.run(feeds | target.feeds())
        return found[ACTIVATIONS], found[GRADIENT]

    def picture_gradients(self, feeds: Arrays, target: Target) -> np.ndarray:
        """Gradient of the target with respect to the picture, (N, K, ...)."""
        return self.at_picture.run(feeds | target.feeds())[GRADIENT]

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
            found.update({name + CHOSEN: value for name, value in explained.chosen.items()})
            if scene.layers:
                found[ACTIVATIONS] = scene.e.cast(scene.features.tensor, np.float32)
            if self.runs_behind and self.pooled is None:
                crossing = self.behind_layer.by_picture
                found.update({name + CROSSED: tensor for name, tensor in crossing.items()})
            return found

        return self._session(outputs)

    @cached_property
    def at_layer(self) -> Runner:
        """Gives the layer's activations and their gradient."""

        def outputs(scene: Scene) -> dict[str, gs.Tensor]:
            activations = scene.e.cast(scene.features.tensor, np.float32)
            gradient = by_picture(scene.e, scene.gradient, scene.features.tensor)
            return {ACTIVATIONS: activations, GRADIENT: gradient}

        return self._session(outputs)

    @cached_property
    def at_picture(self) -> Runner:
        """Gives the picture's gradient."""

        def outputs(scene: Scene) -> dict[str, gs.Tensor]:
            tensor = self.network.tensors[self.image.name]
            gradient = scene.gradients([tensor.name])[tensor.name]
            return {GRADIENT: by_picture(scene.e, gradient, tensor)}

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
