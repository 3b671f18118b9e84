"""Shapley-CAM."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.cotangent import mean_over, unbroadcast
from onnxcam.graph.features import without_extra_tokens
from onnxcam.methods.channels import ChannelSum, gradient_at_places
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class ShapleyCAM(ChannelSum):
    """Grad-CAM with weights corrected to second order: Shapley values of the channels.

    H A, the Hessian of the score times the activations, is the gradient of <g, A> with the second
    factor held fixed, found by differentiating the emitted gradient. Where the score is piecewise
    linear in the activations (pooling, linear layers and ReLUs behind the layer) it is zero, and
    this is Grad-CAM: the paper explains a score with a Softmax in it, which `score="probability"`
    does here. pytorch-grad-cam cuts the negative part off afterwards and is the same otherwise;
    several targets, which it lacks, are differentiated one by one.
    """

    name = "shapleycam"
    title = "Shapley-CAM"
    formula = "ReLU(sum_k w_k A_k), w_k = mean of (g - H A / 2)_k, g and H of the score at A"
    paper = "Cai 2025, arXiv:2501.06261"
    needs = ("gradient", "second derivative")
    cost = "1"

    def weights(self, scene: Scene) -> gs.Tensor:
        e = scene.e
        each = [_weights(one) for one in scene.each_target()]
        if len(each) == 1:
            return each[0]
        rank = len(each[0].shape) + 1
        whole = [e.expand(one, scene.features.tensor, [-rank + 1]) for one in each]
        return e.concat([e.unsqueeze(one, [0]) for one in whole], -rank)

    def emit(self, scene: Scene) -> gs.Tensor:
        return scene.e.unary("Relu", super().emit(scene))


def _weights(scene: Scene) -> gs.Tensor:
    """Weights for a single target: the mean over positions of g - H A / 2."""
    e, spatial = scene.e, scene.features.spatial
    first = mean_over(e, gradient_at_places(scene), spatial)
    curved = curvature(scene)
    if curved is None:
        return first
    second = mean_over(e, without_extra_tokens(e, curved, scene.features), spatial)
    return e.sub(first, e.mul(second, 0.5))


def curvature(scene: Scene) -> gs.Tensor | None:
    """H A for a single target: the score's Hessian at the layer times the activations.

    It may be lazy. None where the gradient does not depend on the layer, and H is zero.
    """
    e, gradient, tensor = scene.e, scene.gradient, scene.features.tensor
    direction = unbroadcast(e, e.cast(tensor, gradient.dtype), gradient, tensor)
    name = scene.layer.name
    found = differentiate(e, {gradient.name: direction}, [name])
    return scene.given(found[name]).gradient if found else None
