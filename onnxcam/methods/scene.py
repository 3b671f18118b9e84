"""What a method that is emitted as nodes sees: a target, a layer, and the gradient between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import OneHot, differentiate
from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.autodiff.rules.quantization import dequantized
from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap
from onnxcam.graph.layers import TargetLayer
from onnxcam.graph.network import Network
from onnxcam.graph.quantized import quantization_of
from onnxcam.targets import Explained


@dataclass(frozen=True)
class Scene:
    """A target emitted behind a network, and the layer at which a method explains it.

    `layers` are all layers asked for; `features` is the one that is looked at, in real numbers.
    """

    e: Emitter
    explained: Explained
    layers: tuple[TargetLayer, ...]
    at: int = 0
    _gradients: dict[str, gs.Tensor] = field(default_factory=dict)
    _real: dict[str, gs.Tensor] = field(default_factory=dict)
    _real_gradients: dict[str, gs.Tensor] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        return self.e.network

    @property
    def count(self) -> int:
        """K, the number of targets an image."""
        return self.explained.count

    @property
    def layer(self) -> TargetLayer:
        return self.layers[self.at]

    def each_layer(self) -> Iterator[Scene]:
        """This scene, looked at from each of its layers."""
        return (replace(self, at=at) for at in range(len(self.layers)))

    def each_target(self) -> Iterator[Scene]:
        """This scene with one target an image at a time."""
        if self.count == 1:
            return iter((self,))
        return (self._with(explained=_only(self.e, self.explained, k)) for k in range(self.count))

    def towards(self, seeds: Mapping[str, Cotangent]) -> Scene:
        """This scene with gradients of something else made of the same targets."""
        return self._with(explained=replace(self.explained, seeds=dict(seeds)))

    def given(self, gradient: gs.Tensor) -> Scene:
        """This scene at its present layer alone, with that for the gradient of its tensor."""
        gradients = {self.layer.name: gradient}
        return self._with(layers=(self.layer,), at=0, _gradients=gradients)

    def _with(self, **changes: Any) -> Scene:
        return replace(self, **({"_gradients": {}, "_real_gradients": {}} | changes))

    @property
    def features(self) -> FeatureMap:
        """The layer's activations A; those of a quantised layer are dequantised."""
        features = self.layer.features
        quantization = quantization_of(features.tensor)
        if quantization is None:
            return features
        name = features.tensor.name
        if name not in self._real:
            self._real[name] = dequantized(self.e, features.tensor, *quantization)
        return replace(features, tensor=self._real[name])

    @property
    def gradient(self) -> gs.Tensor:
        """d score / d A: a cotangent (it may be lazy, and has a leading axis when K > 1)."""
        names = [layer.name for layer in self.layers]
        tensor = self.layer.features.tensor
        cotangent = self.gradients(names)[tensor.name]
        quantization = quantization_of(tensor)
        if quantization is None:
            return cotangent
        if tensor.name not in self._real_gradients:
            step = self.e.cast(quantization[0], np.float32)
            self._real_gradients[tensor.name] = self.e.div(cotangent, step)
        return self._real_gradients[tensor.name]

    def gradients(self, names: Sequence[str]) -> dict[str, gs.Tensor]:
        """Cotangents of several tensors by name, from one walk, emitted once.

        Raises the errors of `differentiate`, and `ModelError` where a score does not depend on
        one of them.
        """
        missing = [name for name in dict.fromkeys(names) if name not in self._gradients]
        if missing:
            self._gradients.update(differentiate(self.e, self.explained.seeds, missing))
        for name in names:
            if name not in self._gradients:
                raise ModelError(
                    f"the target does not depend on layer '{name}' (disconnected); "
                    f"onnxcam layers lists those that it depends on"
                )
        return {name: self._gradients[name] for name in names}


def _only(e: Emitter, explained: Explained, k: int) -> Explained:
    """The k-th of several targets."""

    def row(values: gs.Tensor) -> gs.Tensor:
        return e.slice(values, -1, k, k + 1)

    def own(seed: Cotangent) -> Cotangent:
        if isinstance(seed, OneHot):
            return replace(seed, index=e.squeeze(e.slice(seed.index, -2, k, k + 1), [0]))
        return e.squeeze(e.slice(seed, -len(seed.shape), k, k + 1), [0])

    probability = explained.probability
    return replace(
        explained,
        index=row(explained.index),
        score=row(explained.score),
        probability=None if probability is None else row(probability),
        seeds={name: own(seed) for name, seed in explained.seeds.items()},
    )
