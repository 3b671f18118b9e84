"""Grad-CAM."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import mean_over
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, without_extra_tokens
from onnxcam.methods.channels import weighted_channel_sum
from onnxcam.methods.registry import method


@method(
    "gradcam",
    title="Grad-CAM",
    formula="ReLU(sum_k w_k A_k), w_k = mean of d score / d A_k over positions",
    paper="Selvaraju et al. 2017, arXiv:1610.02391",
)
def gradcam(e: Emitter, features: FeatureMap, gradient: gs.Tensor) -> gs.Tensor:
    """ReLU of the activations' sum over channels, weighted by the mean gradient.

    Of a row of tokens, class and register tokens are left out of both, as pytorch-grad-cam's
    `reshape_transform` leaves them out.
    """
    gradient = without_extra_tokens(e, gradient, features)
    weights = mean_over(e, gradient, features.spatial)
    return e.unary("Relu", weighted_channel_sum(e, features, weights))
