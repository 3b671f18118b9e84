"""FEM."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.errors import MethodError
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import channel_total, for_every_target, places
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
@dataclass(frozen=True)
class FEM(Baked):
    """Where channels are unusually active: their masks, weighted by the channels' means.

    The mask of a channel holds the places at which it exceeds its mean by `k` standard deviations.
    Which class is explained does not matter. This is the paper's sum, and Xplique's;
    pytorch-grad-cam swaps the parts: it sums the activations, weighted by the means of the masks.
    """

    k: float = 2.0

    name = "fem"
    title = "FEM"
    formula = "sum_c m_c [A_c > m_c + k s_c], m_c, s_c mean and standard deviation over positions"
    paper = "Fuad et al. 2020, doi:10.1109/IPTA50016.2020.9286629"
    needs = ("forward only",)
    cost = "1"

    def __post_init__(self) -> None:
        if not 0 <= self.k < float("inf"):
            raise MethodError(f"k {self.k} of 'fem' is not a number of standard deviations")

    def emit(self, scene: Scene) -> gs.Tensor:
        e, features = scene.e, scene.features
        activations = places(scene)
        mean = e.reduce("ReduceMean", activations, features.spatial)
        above = e.sub(activations, mean)
        variance = e.reduce("ReduceMean", e.mul(above, above), features.spatial)
        unusual = e.greater(above, e.mul(e.unary("Sqrt", variance), float(self.k)))
        total = channel_total(e, features, e.where(unusual, mean, 0))
        return for_every_target(scene, total)
