"""Grad-CAM++."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import sum_over
from onnxcam.errors import MethodError
from onnxcam.graph.network import Network
from onnxcam.methods.channels import ChannelSum, gradient_at_places, places
from onnxcam.methods.gradient.pooled import warnings_for_boxes
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
@dataclass(frozen=True)
class GradCAMPlusPlus(ChannelSum):
    """Grad-CAM with positive gradients only, those of few positions weighted up.

    The paper derives the coefficients for exp(score), whose factor exp(score) is common to all
    channels; like every library, this leaves it out. `eps` is pytorch-grad-cam's, which keeps
    the denominator from zero; where gradients are small it outweighs g^2 and the map depends on
    their scale (behind the average pool of a large network, w is then about g^3 / eps). The
    paper has none: with eps = 0, w = sum of ReLU(g) / (2 + ReLU(g) sum A). In torchcam 0.5 the
    division is made on a copy and lost, so that w = sum of g^2 ReLU(g).
    """

    eps: float = 1e-6

    name = "gradcam++"
    title = "Grad-CAM++"
    formula = "ReLU(sum_k w_k A_k), w_k = sum of a ReLU(g), a = g^2 / (2 g^2 + g^3 sum A_k + eps)"
    paper = "Chattopadhay et al. 2018, arXiv:1710.11063"
    needs = ("gradient",)
    cost = "1"

    def __post_init__(self) -> None:
        if not (self.eps >= 0 and math.isfinite(self.eps)):
            raise MethodError(f"gradcam++: eps is {self.eps}; it must be 0 or a positive number")

    def warnings(self, network: Network) -> tuple[str, ...]:
        return warnings_for_boxes(self.name, network)

    def weights(self, scene: Scene) -> gs.Tensor:
        e, spatial = scene.e, scene.features.spatial
        positive = e.unary("Relu", gradient_at_places(scene))
        activations = places(scene, positive.dtype)
        total = e.reduce("ReduceSum", activations, spatial)
        # With r = ReLU(g) for g, which changes nothing where the factor ReLU(g) is not zero.
        share = e.add(e.mul(positive, total), 2)
        if self.eps:
            square = e.mul(positive, positive)
            denominator = e.add(e.mul(square, share), self.eps)
            share, positive = denominator, e.mul(square, positive)
        return sum_over(e, e.div(positive, share), activations, spatial)

    def emit(self, scene: Scene) -> gs.Tensor:
        return scene.e.unary("Relu", super().emit(scene))
