"""Methods that see nothing of the model but its scores for changed pictures."""

from __future__ import annotations

from onnxcam.errors import LayerError
from onnxcam.graph.features import as_feature_map
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.roles import follow_roles
from onnxcam.methods.base import Searched


class BlackBox(Searched):
    """A search whose map has the size of the model's input, whatever the model is inside."""

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        if spec is not None:
            raise LayerError(f"{self.name} explains the picture itself; leave the layer out")
        tensor = network.tensors[find_image_input(network).name]
        features = as_feature_map(tensor, follow_roles(network).get(tensor.name))
        if features is None:
            raise LayerError(
                f"the model's picture '{tensor.name}', shape {tensor.shape}, has a single place "
                f"only; there is nothing to hide"
            )
        return (TargetLayer(-1, tensor.name, "input", "", True, features),)
