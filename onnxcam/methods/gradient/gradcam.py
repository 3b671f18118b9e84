"""Grad-CAM."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import mean_over
from onnxcam.graph.network import Network
from onnxcam.methods.channels import ChannelSum, gradient_at_places
from onnxcam.methods.gradient.pooled import warnings_for_boxes
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class GradCAM(ChannelSum):
    """ReLU of the activations' sum over channels, weighted by the mean gradient."""

    name = "gradcam"
    title = "Grad-CAM"
    formula = "ReLU(sum_k w_k A_k), w_k = mean of d score / d A_k over positions"
    paper = "Selvaraju et al. 2017, arXiv:1610.02391"
    needs = ("gradient",)
    cost = "1"

    def warnings(self, network: Network) -> tuple[str, ...]:
        return warnings_for_boxes(self.name, network)

    def weights(self, scene: Scene) -> gs.Tensor:
        return mean_over(scene.e, gradient_at_places(scene), scene.features.spatial)

    def emit(self, scene: Scene) -> gs.Tensor:
        return scene.e.unary("Relu", super().emit(scene))
