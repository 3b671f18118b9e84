"""The picture itself as the layer that is explained at."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.errors import LayerError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, as_feature_map
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network, is_float
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.roles import follow_roles
from onnxcam.methods.base import Method

_KEEPS_VALUES = {"Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze"}


class OfPicture(Method):
    """A method that explains the picture: its map has the size of the model's input.

    A model that takes whole numbers (uint8) and casts them is explained right behind the cast:
    there the same numbers are real ones, which have a gradient.
    """

    outliers = 0.01

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        if spec is not None:
            raise LayerError(f"{self.name} explains the picture itself; leave the layer out")
        return (picture_layer(network),)


def picture_layer(network: Network) -> TargetLayer:
    """The model's picture in real numbers.

    Raises `LayerError` where it has no place to tell from another, and where whole numbers are
    used before they are made real.
    """
    tensor = network.tensors[find_image_input(network).name]
    while not is_float(tensor):
        readers = tensor.outputs
        if len(readers) != 1 or readers[0].op not in _KEEPS_VALUES:
            used = ", ".join(sorted({node.op for node in readers})) or "nothing"
            raise LayerError(
                f"the model takes whole numbers, and no gradient reaches '{tensor.name}' "
                f"({tensor.dtype}, read by {used}); choose a method that explains at a layer"
            )
        tensor = readers[0].outputs[0]
    features = as_feature_map(tensor, follow_roles(network).get(tensor.name))
    if features is None:
        raise LayerError(
            f"the model's picture '{tensor.name}', shape {tensor.shape}, has a single place only; "
            f"choose a method that explains at a layer"
        )
    return TargetLayer(-1, tensor.name, "input", "", True, features)


def strongest(e: Emitter, gradient: gs.Tensor, features: FeatureMap) -> gs.Tensor:
    """The largest of the channels' absolute values: float32 (N, K, *size)."""
    size = e.unary("Abs", full(e, gradient, features.tensor))
    largest = e.reduce("ReduceMax", size, [features.channel], keepdims=False)
    order = (1, 0, *range(2, len(largest.shape)))
    several = len(gradient.shape) > len(features.tensor.shape)
    largest = e.transpose(largest, order) if several else e.unsqueeze(largest, [1])
    return e.cast(largest, np.float32)
