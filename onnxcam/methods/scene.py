"""What a method that is emitted as nodes sees: a target, a layer, and the gradient between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.rules.quantization import dequantized
from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap
from onnxcam.graph.layers import TargetLayer
from onnxcam.graph.network import Network, is_float
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

    @property
    def features(self) -> FeatureMap:
        """The layer's activations A; those of a quantised layer are dequantised."""
        features = self.layer.features
        quantization = _quantization(features.tensor)
        if quantization is None:
            return features
        return replace(features, tensor=dequantized(self.e, features.tensor, *quantization))

    @property
    def gradient(self) -> gs.Tensor:
        """d score / d A: a cotangent (it may be lazy, and has a leading axis when K > 1)."""
        names = [layer.name for layer in self.layers]
        tensor = self.layer.features.tensor
        cotangent = self.gradients(names)[tensor.name]
        quantization = _quantization(tensor)
        if quantization is None:
            return cotangent
        return self.e.div(cotangent, self.e.cast(quantization[0], np.float32))

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


def _quantization(tensor: gs.Tensor) -> tuple[gs.Tensor, gs.Tensor | None] | None:
    return None if is_float(tensor) else quantization_of(tensor)
