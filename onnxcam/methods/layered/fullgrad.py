"""FullGrad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.cotangent import full
from onnxcam.errors import MethodError, ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, as_feature_map, without_extra_tokens
from onnxcam.graph.roles import follow_roles
from onnxcam.methods.aggregate import at_picture_size
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import channel_total
from onnxcam.methods.layered.biases import find_biases
from onnxcam.methods.pixels.picture import OfPicture
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene

EPS = 1e-7
"""pytorch-grad-cam's guard against maps that are zero everywhere."""

SCALED = ("channel", "layer")


@register
@dataclass(frozen=True)
class FullGrad(OfPicture, Baked):
    """Picture times gradient and biases times their gradients: all that a score is made of.

    In a network of linear layers, pools and ReLUs, score = sum x g + sum b g_b over all biases b
    exactly (other activations, and ReLU6 where it is cut off, add what is no bias of the graph);
    the map leaves out those with no place in the picture (a classifier's). Every channel's
    absolute values are scaled to [0, 1] by themselves, as pytorch-grad-cam does it;
    `scaled="layer"` scales a layer's channels together, as the paper's own code does, so that
    they keep their proportions. Which biases there are is the graph's matter: exporters fold a
    batch normalisation into the convolution in front of it, and the biases of linear layers
    and normalisations that keep their place (channels-last networks, tokens) count too; the
    library has those of `Conv2d` and `BatchNorm2d` modules. Of a quantised model, those of
    layers in real numbers.
    """

    scaled: str = "channel"

    name = "fullgrad"
    title = "FullGrad"
    formula = "sum over channels of psi(x g) + sum over layers of psi(b g_b), psi = scaled |.|"
    paper = "Srinivas & Fleuret 2019, arXiv:1905.00780"
    needs = ("gradient",)
    cost = "3 to 10"

    def __post_init__(self) -> None:
        if self.scaled not in SCALED:
            raise MethodError(f"fullgrad scales each {' or '.join(SCALED)}, not '{self.scaled}'")

    def emit(self, scene: Scene) -> gs.Tensor:
        e = scene.e
        by_size: dict[tuple[object, ...], list[gs.Tensor]] = {}
        for features, contribution in contributions(scene):
            unit = self._unit_range(e, e.unary("Abs", contribution), features)
            total = channel_total(e, features, unit)
            by_size.setdefault(tuple(total.shape[2:]), []).append(total)
        sums = [reduce(e.add, maps) for maps in by_size.values()]
        return reduce(e.add, [at_picture_size(scene, one) for one in sums])

    def _unit_range(self, e: Emitter, values: gs.Tensor, features: FeatureMap) -> gs.Tensor:
        axes = list(features.spatial)
        if self.scaled == "layer":
            axes.append(features.channel)
        raised = e.sub(values, e.reduce("ReduceMin", values, axes))
        return e.div(raised, e.add(e.reduce("ReduceMax", raised, axes), EPS))


def contributions(scene: Scene) -> Iterator[tuple[FeatureMap, gs.Tensor]]:
    """What the picture and each bias add to the score, wherever they have a place in the picture:
    the tensor's layout, and values in full but for extra tokens, with a leading axis if K > 1."""
    e, picture = scene.e, scene.features
    roles = follow_roles(scene.network)
    placed = [
        (features, bias)
        for bias in find_biases(scene.network)
        if (features := as_feature_map(bias.tensor, roles.get(bias.tensor.name))) is not None
    ]
    names = dict.fromkeys([picture.tensor.name, *(one.tensor.name for one, _ in placed)])
    found = differentiate(e, scene.explained.seeds, names)
    if picture.tensor.name not in found:
        raise ModelError(f"the target does not depend on the picture '{picture.tensor.name}'")
    gradient = full(e, found[picture.tensor.name], picture.tensor)
    yield picture, e.mul(e.cast(picture.tensor, gradient.dtype), gradient)
    for features, bias in placed:
        tensor = bias.tensor
        if tensor.name not in found:
            continue  # it lies on the way to another output
        gradient = full(e, found[tensor.name], tensor)
        product = e.mul(e.cast(bias.value(e), gradient.dtype), gradient)
        yield features, without_extra_tokens(e, product, features)
