"""The plain gradient with respect to the picture, alone and times the picture."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.methods.base import Baked
from onnxcam.methods.channels import channel_total
from onnxcam.methods.pixels.picture import OfPicture, strongest
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class Saliency(OfPicture, Baked):
    """How strongly the score reacts to each pixel.

    Captum's `Saliency` gives the absolute gradient of every channel; the largest of them is the
    paper's map (section 3.1). The gradient is that with respect to what the model is fed: behind
    the preprocessing.
    """

    name = "saliency"
    title = "Saliency"
    formula = "max over channels of |d score / d x|"
    paper = "Simonyan et al. 2014, arXiv:1312.6034"
    needs = ("gradient",)
    cost = "2 to 5"

    def emit(self, scene: Scene) -> gs.Tensor:
        return strongest(scene.e, scene.gradient, scene.features)


@register
class InputXGradient(OfPicture, Baked):
    """What each pixel contributes to the score, to first order around an input of zero.

    Signed. Captum's `InputXGradient` gives every channel; this is their sum. Zero is that of the
    model's input, not black: what the preprocessing maps to zero contributes nothing.
    """

    name = "inputxgradient"
    title = "Input x Gradient"
    formula = "sum over channels of x d score / d x"
    paper = "Shrikumar et al. 2017, arXiv:1605.01713"
    needs = ("gradient",)
    cost = "2 to 5"

    def emit(self, scene: Scene) -> gs.Tensor:
        e, features, gradient = scene.e, scene.features, scene.gradient
        product = e.mul(e.cast(features.tensor, gradient.dtype), gradient)
        return channel_total(e, features, product)
