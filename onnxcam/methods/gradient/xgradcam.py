"""XGrad-CAM."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.graph.network import Network
from onnxcam.methods.channels import ChannelSum, gradient_at_places, places
from onnxcam.methods.gradient.pooled import warnings_for_boxes
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene

EPS = 1e-7
"""pytorch-grad-cam's guard against channels that are zero everywhere; the paper has none."""


@register
class XGradCAM(ChannelSum):
    """Grad-CAM with gradients averaged in proportion to the activations, which conserves scores.

    Signed, as the paper's sum is; pytorch-grad-cam cuts the negative part off afterwards. Where
    the activations of a channel cancel out to about zero, as they may behind a normalisation,
    its weight is a quotient of roundings, in the library as here.
    """

    name = "xgradcam"
    title = "XGrad-CAM"
    formula = "sum_k w_k A_k, w_k = sum of g A_k / (sum of A_k + 1e-7), g = d score / d A_k"
    paper = "Fu et al. 2020, arXiv:2008.02312"
    needs = ("gradient",)
    cost = "1"

    def warnings(self, network: Network) -> tuple[str, ...]:
        return warnings_for_boxes(self.name, network)

    def weights(self, scene: Scene) -> gs.Tensor:
        e, spatial, gradient = scene.e, scene.features.spatial, gradient_at_places(scene)
        activations = places(scene, gradient.dtype)
        total = e.reduce("ReduceSum", activations, spatial)
        if all(gradient.shape[axis] == 1 for axis in spatial):
            moved = e.mul(gradient, total)
        else:
            moved = e.reduce("ReduceSum", e.mul(activations, gradient), spatial)
        return e.div(moved, e.add(total, EPS))
