"""Grad-CAM."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import mean_over
from onnxcam.graph.features import without_extra_tokens
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import weighted_channel_sum
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class GradCAM(Baked):
    """ReLU of the activations' sum over channels, weighted by the mean gradient.

    Of a row of tokens, class and register tokens are left out of both, as pytorch-grad-cam's
    `reshape_transform` leaves them out.
    """

    name = "gradcam"
    title = "Grad-CAM"
    formula = "ReLU(sum_k w_k A_k), w_k = mean of d score / d A_k over positions"
    paper = "Selvaraju et al. 2017, arXiv:1610.02391"
    needs = ("gradient",)
    cost = "1"

    def emit(self, scene: Scene) -> gs.Tensor:
        e, features = scene.e, scene.features
        gradient = without_extra_tokens(e, scene.gradient, features)
        weights = mean_over(e, gradient, features.spatial)
        return e.unary("Relu", weighted_channel_sum(e, features, weights))
