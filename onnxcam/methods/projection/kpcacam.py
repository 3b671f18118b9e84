"""KPCA-CAM."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.errors import MethodError
from onnxcam.graph.emitter import Emitter
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import places
from onnxcam.methods.projection.components import as_maps, by_channel, centred, highest_up
from onnxcam.methods.projection.singular import first_component_of
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
@dataclass(frozen=True)
class KPCACAM(Baked):
    """The activations' first component in the feature space of a sigmoid kernel.

    The kernel is tanh(gamma x.y + 1) of the centred activations x, y at two positions; `gamma` is
    1 / channels unless given. Which class is explained does not matter. The largest absolute value
    is positive, as scikit-learn's `KernelPCA` has it, which pytorch-grad-cam calls. The paper also
    tries other kernels; sigmoid is the library's default.

    The kernel is a matrix of positions x positions: meant for late layers.
    """

    gamma: float | None = None

    name = "kpcacam"
    title = "KPCA-CAM"
    formula = "sqrt(l_1) u_1 of the centred kernel tanh(gamma A A^T + 1)"
    paper = "Karmani et al. 2024, arXiv:2410.00267"
    needs = ("forward only",)
    cost = "1"

    def __post_init__(self) -> None:
        if self.gamma is not None and not 0 < self.gamma < float("inf"):
            raise MethodError(f"gamma {self.gamma} of 'kpcacam' is not a positive number")

    def emit(self, scene: Scene) -> gs.Tensor:
        e = scene.e
        points = centred(e, by_channel(e, scene.features, places(scene)))
        products = e.matmul(e.transpose(points, (1, 0)), points)
        if self.gamma is None:
            products = e.div(products, e.size(points, [-2]))
        else:
            products = e.mul(products, self.gamma)
        kernel = _centred(e, e.unary("Tanh", e.add(products, 1)))
        scores = e.transpose(first_component_of(e, kernel), (1, 0))
        return as_maps(scene, highest_up(e, scores))


def _centred(e: Emitter, kernel: gs.Tensor) -> gs.Tensor:
    """The kernel of points about their mean in its feature space."""
    kernel = e.sub(kernel, e.reduce("ReduceMean", kernel, [-1]))
    return e.sub(kernel, e.reduce("ReduceMean", kernel, [-2]))
