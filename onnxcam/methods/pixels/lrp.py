"""Layer-wise relevance propagation."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.walk import find_path
from onnxcam.errors import MethodError, ModelError
from onnxcam.graph.network import describe
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import channel_total
from onnxcam.methods.pixels.picture import OfPicture
from onnxcam.methods.pixels.relevance import obstacle, relevance_rules
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
@dataclass(frozen=True)
class LRP(OfPicture, Baked):
    """The score, handed down from layer to layer until the pixels share it.

    Signed; without biases (and `epsilon`) the map sums to the score. Linear layers share out in
    proportion to their summands. Convolutions stress those that work towards their result by
    `gamma`, the gamma rule; `epsilon` lets every layer absorb what is weak, the epsilon rule. An
    activation keeps its relevance, a gate (squeeze and excitation, SiLU) gets none, a maximum gets
    all, a residual sum and a batch normalisation are linear layers.

    The defaults are the gamma rule on convolutions and the plain one (LRP-0) elsewhere. Captum's
    `LRP` has `EpsilonRule` everywhere unless each layer is given another: that is `gamma=0`, and
    with its epsilon of 1e-9, of a ReLU network, the same as `inputxgradient`. Its `GammaRule`
    leaves the bias as it is; the paper counts it in, and so does this.

    Convolutional networks only: attention and layer normalisation have no rule here.
    """

    name = "lrp"
    title = "Layer-wise Relevance Propagation"
    formula = "R_i = sum_j x_i (w_ij + gamma w_ij^+) R_j / z_j, layer by layer, R = score on top"
    paper = "Bach et al. 2015, doi:10.1371/journal.pone.0130140; Montavon et al. 2019"
    needs = ("gradient", "convolutional network")
    cost = "4 to 10"

    epsilon: float = 0.0
    gamma: float = 0.25

    def __post_init__(self) -> None:
        for name, value in (("epsilon", self.epsilon), ("gamma", self.gamma)):
            if not 0 <= value < float("inf"):
                raise MethodError(f"{name} is a number from 0 on, not {value}")

    def emit(self, scene: Scene) -> gs.Tensor:
        e, features = scene.e, scene.features
        name, seeds = features.tensor.name, scene.explained.seeds
        path = find_path([*scene.network.graph.nodes, *e.nodes], [name], seeds)
        for node in path.nodes:
            reason = obstacle(node, path.reached)
            if reason is not None:
                raise MethodError(
                    f"{describe(node)} {reason} in layer-wise relevance propagation; choose "
                    f"integratedgradients, or a method that explains at a layer"
                )
        found = differentiate(e, seeds, [name], relevance_rules(self.epsilon, self.gamma))
        if name not in found:
            raise ModelError(f"the target does not depend on the picture '{name}' (disconnected)")
        product = e.mul(e.cast(features.tensor, found[name].dtype), found[name])
        return channel_total(e, features, product)
