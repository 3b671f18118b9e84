"""Maps that weight every element by its own gradient, without averaging over positions."""

from __future__ import annotations

from dataclasses import replace

import onnx_graphsurgeon as gs

from onnxcam.graph.network import producer
from onnxcam.graph.plain import plain_op
from onnxcam.methods.channels import (
    ChannelSum,
    channel_sum,
    channel_total,
    gradient_at_places,
    places,
)
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class HiResCAM(ChannelSum):
    """Activations times gradient, summed over channels: what each position adds to the score.

    Signed, as in the paper; pytorch-grad-cam cuts the negative part off afterwards.
    """

    name = "hirescam"
    title = "HiResCAM"
    formula = "sum_k g_k A_k, g_k = d score / d A_k"
    paper = "Draelos & Carin 2020, arXiv:2011.08891"
    needs = ("gradient",)
    cost = "1"

    def weights(self, scene: Scene) -> gs.Tensor:
        return gradient_at_places(scene)


@register
class LayerCAM(ChannelSum):
    """Activations times positive gradient, summed over channels: fit for earlier layers.

    Before maps of several layers are put together, the paper and torchcam divide each by its
    maximum m and take tanh(2 x / m); pytorch-grad-cam and this do not.
    """

    name = "layercam"
    title = "LayerCAM"
    formula = "ReLU(sum_k ReLU(g_k) A_k), g_k = d score / d A_k"
    paper = "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943"
    needs = ("gradient",)
    cost = "1"

    def weights(self, scene: Scene) -> gs.Tensor:
        return scene.e.unary("Relu", gradient_at_places(scene))

    def emit(self, scene: Scene) -> gs.Tensor:
        return scene.e.unary("Relu", super().emit(scene))


@register
class GradCAMElementwise(ChannelSum):
    """What raises the score at each position, summed over channels; what lowers it is left out.

    From pytorch-grad-cam, which cites no paper for it.
    """

    name = "gradcam-elementwise"
    title = "Grad-CAM, element by element"
    formula = "sum_k ReLU(g_k A_k), g_k = d score / d A_k"
    paper = "pytorch-grad-cam, github.com/jacobgil/pytorch-grad-cam"
    needs = ("gradient",)
    cost = "1"

    def weights(self, scene: Scene) -> gs.Tensor:
        """The gradient where it has the activation's sign, else zero."""
        e, gradient = scene.e, gradient_at_places(scene)
        raises = e.greater(e.mul(places(scene, gradient.dtype), gradient), 0)
        return e.where(raises, gradient, 0)

    def emit(self, scene: Scene) -> gs.Tensor:
        e, features, gradient = scene.e, scene.features, gradient_at_places(scene)
        if any(gradient.shape[axis] != 1 for axis in features.spatial):
            product = e.mul(places(scene, gradient.dtype), gradient)
            return channel_total(e, features, e.unary("Relu", product))
        # ReLU(g A) = ReLU(g) ReLU(A) + ReLU(-g) ReLU(-A): two matrix products.
        node = producer(features.tensor)
        if node is not None and plain_op(node) == "Relu":
            return channel_sum(e, features, e.unary("Relu", gradient))
        activations = e.cast(features.tensor, gradient.dtype)
        up = replace(features, tensor=e.unary("Relu", activations))
        down = replace(features, tensor=e.unary("Relu", e.unary("Neg", activations)))
        return e.add(
            channel_sum(e, up, e.unary("Relu", gradient)),
            channel_sum(e, down, e.unary("Relu", e.unary("Neg", gradient))),
        )
