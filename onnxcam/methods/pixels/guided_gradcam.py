"""Guided Grad-CAM."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.graph.network import Network
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import channel_total
from onnxcam.methods.gradient.gradcam import GradCAM
from onnxcam.methods.pixels.guided import without_rectifiers
from onnxcam.methods.pixels.picture import picture_layer
from onnxcam.methods.pixels.rectifier import gradient_with, guided
from onnxcam.methods.registry import register
from onnxcam.methods.resizing import resized
from onnxcam.methods.scene import Scene


@register
class GuidedGradCAM(Baked):
    """Guided backpropagation where Grad-CAM at the layer looks: fine and of one class.

    The map has the picture's size. Grad-CAM is brought to it bilinearly, as in the paper;
    Captum's `GuidedGradCam` takes the nearest cell unless told `interpolate_mode="bilinear"`.
    """

    name = "guidedgradcam"
    title = "Guided Grad-CAM"
    formula = "Grad-CAM, bilinear at the picture's size, times guided backpropagation"
    paper = "Selvaraju et al. 2017, arXiv:1610.02391"
    needs = ("gradient",)
    cost = "2 to 5"
    outliers = 0.01

    def warnings(self, network: Network) -> tuple[str, ...]:
        return without_rectifiers(self.name, network)

    def emit(self, scene: Scene) -> gs.Tensor:
        e, picture = scene.e, picture_layer(scene.network).features
        gradient = gradient_with(scene, picture.tensor.name, guided)
        details = channel_total(e, picture, full(e, gradient, picture.tensor))
        size = [picture.tensor.shape[axis] for axis in picture.spatial]
        lengths = [e.dim(picture.tensor, axis) for axis in picture.spatial]
        return e.mul(details, resized(e, GradCAM().emit(scene), size, lengths))
