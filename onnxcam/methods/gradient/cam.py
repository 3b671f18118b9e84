"""CAM, the map that Grad-CAM generalises."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import sum_over
from onnxcam.errors import MethodError
from onnxcam.methods.channels import ChannelSum, gradient_at_places, places
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class CAM(ChannelSum):
    """The activations' sum over channels, weighted by the classifier's row of the class.

    Only behind an average over positions and linear layers is there such a row: there
    score = bias + sum_k w_k mean(A_k), so w_k is d score / d A_k times the number of positions,
    and it is taken from there: a chain of linear layers, a 1x1 convolution as classifier or a
    normalisation folded or not are then all one. With no ReLU, as in the paper.

    torchcam 0.5 takes the rows of a linear layer that it is told, or of the only one, whatever
    lies in front of it; pytorch-grad-cam has no CAM.
    """

    name = "cam"
    title = "CAM"
    formula = "sum_k w_k A_k, w_k the classifier's weight of channel k"
    paper = "Zhou et al. 2016, arXiv:1512.04150"
    needs = ("gradient", "average over positions and linear layers behind the layer")
    cost = "1"

    def weights(self, scene: Scene) -> gs.Tensor:
        gradient = gradient_at_places(scene)
        if not _is_pooled(scene, gradient) or _reads_activations(scene, gradient):
            raise MethodError(
                f"cam needs nothing but an average over positions and linear layers behind layer "
                f"'{scene.layer.name}'; gradcam is the same there but for a factor and the sign, "
                f"and works behind every layer"
            )
        return sum_over(scene.e, gradient, places(scene), scene.features.spatial)


def _is_pooled(scene: Scene, gradient: gs.Tensor) -> bool:
    """Whether the gradient is seen to be the same at all positions."""
    spatial = scene.features.spatial
    size = [scene.features.tensor.shape[axis] for axis in spatial]
    return all(
        gradient.shape[axis] == 1 or length == 1 for axis, length in zip(spatial, size, strict=True)
    )


def _reads_activations(scene: Scene, gradient: gs.Tensor) -> bool:
    """Whether the gradient depends on the picture other than by which class it is of."""
    chosen = scene.explained.index.name
    seen: set[str] = set()
    waiting = [gradient]
    while waiting:
        tensor = waiting.pop()
        if tensor.name in seen or tensor.name == chosen:
            continue
        seen.add(tensor.name)
        if tensor.name in scene.network.varying:
            return True
        waiting += _read_by(tensor.inputs)
    return False


def _read_by(nodes: Iterable[gs.Node]) -> list[gs.Tensor]:
    """What nodes read of values; sizes are none."""
    return [t for node in nodes if node.op != "Shape" for t in node.inputs]
