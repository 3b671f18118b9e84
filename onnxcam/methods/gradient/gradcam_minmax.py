"""Grad-CAM of activations and weights that are both scaled to [0, 1] first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import mean_over, sum_over
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, without_extra_tokens
from onnxcam.graph.network import Network, producer
from onnxcam.graph.plain import plain_op
from onnxcam.methods.base import Baked
from onnxcam.methods.channels import channel_sum, gradient_at_places
from onnxcam.methods.gradient.pooled import warnings_for_boxes
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
@dataclass(frozen=True)
class GradCAMMinMax(Baked):
    """The mean over channels of activations times mean gradient, both scaled to [0, 1].

    u(x) = (x - min x) / (max x - min x): over all channels and positions of a picture for the
    activations, over all channels for the mean gradients of a target; 0 where x is constant.
    `relu` cuts negative activations off first. The channel that lowers the score most counts for
    nothing, and no map is ever negative: the ReLU at the end of the recipe changes nothing.

    Keras recipes for volume classifiers explain a probability this way (score="probability" does)
    and scale over the batch as a whole; here each picture is scaled on its own, so that its map
    does not depend on its neighbours.
    """

    relu: bool = False

    name = "gradcam-minmax"
    title = "Grad-CAM, scaled before it is weighted"
    formula = "mean over k of u(w_k) u(A_k), w_k = mean of g, u = scaled to [0, 1] over all k"
    paper = "none; Keras recipes for volume classifiers"
    needs = ("gradient",)
    cost = "1"

    def warnings(self, network: Network) -> tuple[str, ...]:
        return warnings_for_boxes(self.name, network)

    def emit(self, scene: Scene) -> gs.Tensor:
        e, spatial, channel = scene.e, scene.features.spatial, scene.features.channel
        mean = mean_over(e, gradient_at_places(scene), spatial)
        features = self._features(scene, mean.dtype)
        activations = without_extra_tokens(e, features.tensor, features)
        low, height = _range(e, activations, [channel, *spatial])
        least, reach = _range(e, mean, [channel])
        channels = e.size(activations, [channel])
        weights = e.div(e.sub(mean, least), e.mul(e.mul(reach, height), channels))
        # sum_k w_k (A_k - low) in two terms, so that the activations are only read.
        total = sum_over(e, weights, activations, [channel])
        return e.sub(channel_sum(e, features, weights), _for_map(scene, e.mul(total, low)))

    def _features(self, scene: Scene, dtype: object) -> FeatureMap:
        """The layer, its activations of the gradient's type and cut off at 0 where asked for."""
        node = producer(scene.features.tensor)
        activations = scene.e.cast(scene.features.tensor, dtype)
        if self.relu and not (node is not None and plain_op(node) == "Relu"):
            activations = scene.e.unary("Relu", activations)
        return replace(scene.features, tensor=activations)


def _range(e: Emitter, values: gs.Tensor, axes: Sequence[int]) -> tuple[gs.Tensor, gs.Tensor]:
    """Minimum, and what the maximum is above it, over negative axes; 1 for a difference of 0."""
    low = e.reduce("ReduceMin", values, axes)
    reach = e.sub(e.reduce("ReduceMax", values, axes), low)
    return low, e.where(e.greater(reach, 0), reach, 1)


def _for_map(scene: Scene, values: gs.Tensor) -> gs.Tensor:
    """One number a target, (N, 1, ...) with K in front if > 1, as (N, K, 1, ...) like a map."""
    e, features = scene.e, scene.features
    lead = len(values.shape) - len(features.tensor.shape)
    flat = e.squeeze(values, [features.channel, *features.spatial])
    by_target = e.transpose(flat, (1, 0)) if lead else e.unsqueeze(flat, [1])
    return e.unsqueeze(by_target, range(-len(features.size), 0))
