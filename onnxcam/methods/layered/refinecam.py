"""RefineCAM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import onnx_graphsurgeon as gs

from onnxcam.graph.layers import LayerSpec, TargetLayer, rank_layers
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input
from onnxcam.methods.aggregate import at_picture_size, in_unit_range
from onnxcam.methods.base import Baked
from onnxcam.methods.layered.base import base_method
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene

STAGES = 4
"""Resolutions that are looked at unless layers are named: the stages of common networks."""


@register
@dataclass(frozen=True)
class RefineCAM(Baked):
    """The product of the maps of several layers: fine where the late ones look.

    Each layer's map by the method called `base`, Grad-CAM++ as in pytorch-grad-cam unless told
    otherwise, is cut off at zero, enlarged to the picture's size, which `raw` then has, and scaled
    to [0, 1]. Where no layers are named they are the last of the trunk at each of the last four
    resolutions; a network of one resolution, as many transformers are, has one such layer, so
    name several. The library wants them named.
    """

    base: str = "gradcam++"

    name = "refinecam"
    title = "RefineCAM"
    formula = "product over layers of the base method's maps, each scaled to [0, 1]"
    paper = "arXiv:2605.14641, as in pytorch-grad-cam, github.com/jacobgil/pytorch-grad-cam"
    needs = ("gradient",)
    cost = "2 to 3"
    joins_layers = True

    def __post_init__(self) -> None:
        base_method(self.base, self.name)

    @cached_property
    def _method(self) -> Baked:
        return base_method(self.base, self.name)

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        return self._method.layers(network, spec) if spec is not None else stages(network)

    def emit(self, scene: Scene) -> gs.Tensor:
        e = scene.e
        maps = []
        for each in scene.each_layer():
            unit = in_unit_range(e, e.unary("Relu", self._method.emit(each)))
            maps.append(in_unit_range(e, at_picture_size(each, unit)))
        return reduce(e.mul, maps)


def stages(network: Network) -> tuple[TargetLayer, ...]:
    """The last layer of the trunk at each resolution, coarse to fine, from the automatic one on;
    a picture that is merely cast or rescaled is none."""
    found: dict[tuple[object, ...], TargetLayer] = {}
    best, *behind = rank_layers(network)
    picture = network.tensors[find_image_input(network).name].shape
    trunk = (one for one in behind if one.trunk and one.features.tensor.shape != picture)
    for layer in (best, *trunk):
        found.setdefault(tuple(layer.features.size), layer)
    return tuple(found.values())[:STAGES]
