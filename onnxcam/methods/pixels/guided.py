"""Methods that let ReLUs pass only some of what flows back."""

from __future__ import annotations

from abc import abstractmethod

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import channel_total
from onnxcam.methods.pixels.picture import OfPicture
from onnxcam.methods.pixels.rectifier import (
    deconvolved,
    gradient_with,
    guided,
    has_rectifiers,
)
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


class ThroughRectifiers(OfPicture, Baked):
    """The gradient with respect to the picture, summed over channels, with ReLUs of its own.

    ReLU6 counts as a ReLU, and so do those that a runtime has fused with a convolution; Captum
    and pytorch-grad-cam change `nn.ReLU` modules only. HardSwish, SiLU, GELU and the like keep
    their derivative, there as here: in a model without any ReLU this is the plain gradient, which
    a warning says.
    """

    @abstractmethod
    def backward(self, e: Emitter, dy: gs.Tensor, dx: gs.Tensor) -> gs.Tensor:
        """What comes out of a ReLU backwards, where dy goes in and the gradient would be dx."""

    def warnings(self, network: Network) -> tuple[str, ...]:
        return without_rectifiers(self.name, network)

    def emit(self, scene: Scene) -> gs.Tensor:
        features = scene.features
        gradient = gradient_with(scene, features.tensor.name, self.backward)
        return channel_total(scene.e, features, full(scene.e, gradient, features.tensor))


@register
class GuidedBackprop(ThroughRectifiers):
    """The gradient along paths on which every ReLU is passed by something positive.

    Signed, since what the first layer makes of it may have either sign.
    """

    name = "guidedbackprop"
    title = "Guided Backpropagation"
    formula = "sum over channels of d score / d x, with dx = dy [y > 0] [dy > 0] at every ReLU"
    paper = "Springenberg et al. 2015, arXiv:1412.6806"
    needs = ("gradient",)
    cost = "2 to 5"

    def backward(self, e: Emitter, dy: gs.Tensor, dx: gs.Tensor) -> gs.Tensor:
        return guided(e, dy, dx)


@register
class Deconvolution(ThroughRectifiers):
    """What a deconvolutional network shows: ReLUs cut what flows back, not what went forward.

    Max pools route by the positions of their maxima (the paper's switches).
    """

    name = "deconvolution"
    title = "Deconvolution"
    formula = "sum over channels of d score / d x, with dx = dy [dy > 0] at every ReLU"
    paper = "Zeiler and Fergus 2014, arXiv:1311.2901"
    needs = ("gradient",)
    cost = "2 to 5"

    def backward(self, e: Emitter, dy: gs.Tensor, dx: gs.Tensor) -> gs.Tensor:
        return deconvolved(e, dy, dx)


def without_rectifiers(name: str, network: Network) -> tuple[str, ...]:
    """The warning that such a method has nothing to change in a model."""
    if has_rectifiers(network):
        return ()
    return (f"the model has no ReLU, so {name} follows the plain gradient; saliency shows it",)
