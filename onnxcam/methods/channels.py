"""The weighted sum over channels that most class activation maps end with."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, without_extra_tokens
from onnxcam.methods.base import Baked
from onnxcam.methods.scene import Scene


class ChannelSum(Baked):
    """A method whose raw map is sum_k w_k A_k, with weights for every target and channel.

    Of a row of tokens, class and register tokens are left out of all sums, as
    pytorch-grad-cam's `reshape_transform` leaves them out.
    """

    @abstractmethod
    def weights(self, scene: Scene) -> gs.Tensor:
        """w: shaped like `places(scene)`, with a leading axis when K > 1. It may be lazy."""

    def emit(self, scene: Scene) -> gs.Tensor:
        return channel_sum(scene.e, scene.features, self.weights(scene))

    def weighted(self, scene: Scene) -> gs.Tensor:
        """w_k A_k before the sum: (N, C, *size) or as the layer lays it out, K in front if > 1."""
        weights = self.weights(scene)
        return scene.e.mul(places(scene, weights.dtype), weights)


def places(scene: Scene, dtype: object = np.float32) -> gs.Tensor:
    """The layer's activations wherever there is a place in the picture: without extra tokens."""
    e, features = scene.e, scene.features
    return without_extra_tokens(e, e.cast(features.tensor, dtype), features)


def gradient_at_places(scene: Scene) -> gs.Tensor:
    """d score / d A for the activations that `places` gives; it may be lazy."""
    return without_extra_tokens(scene.e, scene.gradient, scene.features)


def channel_sum(e: Emitter, features: FeatureMap, weights: gs.Tensor) -> gs.Tensor:
    """sum_k w_k A_k at every position, for one or several targets: float32 (N, K, *size).

    `weights` are shaped like the features without extra tokens, with a leading axis for several
    targets, and may have length 1 along any axis.
    """
    same_everywhere = all(weights.shape[axis] == 1 for axis in features.spatial)
    if same_everywhere and features.channel in (-1, 1 - len(features.tensor.shape)):
        return weighted_channel_sum(e, features, weights)
    activations = without_extra_tokens(e, e.cast(features.tensor, weights.dtype), features)
    return channel_total(e, features, e.mul(activations, weights))


def channel_total(e: Emitter, features: FeatureMap, values: gs.Tensor) -> gs.Tensor:
    """The sum over channels of what has been weighted element by element: (N, K, *size)."""
    several = len(values.shape) > len(features.tensor.shape)
    total = e.reduce("ReduceSum", values, [features.channel], keepdims=False)
    order = (1, 0, *range(2, len(total.shape)))
    total = e.transpose(total, order) if several else e.unsqueeze(total, [1])
    return e.cast(_in_picture_order(e, features, _on_grid(e, features, total)), np.float32)


def weighted_channel_sum(e: Emitter, features: FeatureMap, weights: gs.Tensor) -> gs.Tensor:
    """`channel_sum` with weights of length 1 along the spatial axes.

    Emitted as one matrix product, which reads the activations once, for layouts with the channels
    in front of the positions or behind them.
    """
    activations = without_extra_tokens(e, e.cast(features.tensor, weights.dtype), features)
    weights = e.expand(weights, features.tensor, [features.channel])
    by_target = _targets_by_channel(e, weights, features)
    n, k = features.tensor.shape[0], by_target.shape[1]
    channels_first = features.channel == 1 - len(activations.shape)
    if channels_first:  # (N, K, C) x (N, C, positions)
        c = activations.shape[1]
        flat = _flat(e, activations, e.ints(0, 0, -1), [n, c, None])
        total = e.matmul(by_target, flat)
    else:  # (N, positions, C) x (N, C, K)
        c = activations.shape[-1]
        flat = _flat(e, activations, e.ints(0, -1, int(c)), [n, None, c])
        total = e.matmul(flat, e.transpose(by_target, (1, 0)))
        total = e.transpose(total, (1, 0))
    total.shape = [n, k, None]
    return in_picture(e, features, total)


def for_every_target(scene: Scene, maps: gs.Tensor) -> gs.Tensor:
    """Maps (N, 1, *size), which depend on no target, for the K of the scene: (N, K, *size)."""
    if scene.count == 1:
        return maps
    n, _, *size = maps.shape
    target = scene.e.ints(1, scene.count, *[1] * len(size))
    return scene.e.op("Expand", maps, target, shape=[n, scene.count, *size])


def in_picture(e: Emitter, features: FeatureMap, flat: gs.Tensor) -> gs.Tensor:
    """(N, K, positions), in the layer's order, as a map: float32 (N, K, *size)."""
    if len(features.spatial) > 1:
        flat = _unflattened(e, features, flat)
    return e.cast(_in_picture_order(e, features, _on_grid(e, features, flat)), np.float32)


def _flat(e: Emitter, x: gs.Tensor, target: gs.Tensor, shape: Shape) -> gs.Tensor:
    return x if len(x.shape) == 3 else e.op("Reshape", x, target, shape=shape)


def _targets_by_channel(e: Emitter, weights: gs.Tensor, features: FeatureMap) -> gs.Tensor:
    """(N, K, C) of weights with a leading axis of K targets, or of one target without it."""
    several = len(weights.shape) > len(features.tensor.shape)
    flat = e.squeeze(weights, features.spatial)
    return e.transpose(flat, (1, 0, 2)) if several else e.unsqueeze(flat, [1])


def _unflattened(e: Emitter, features: FeatureMap, total: gs.Tensor) -> gs.Tensor:
    """(N, K, positions) with the layer's spatial axes, in the order in which it has them."""
    axes = sorted(features.spatial)
    size: Shape = [features.tensor.shape[axis] for axis in axes]
    if is_static(size):
        target: gs.Tensor = e.ints(0, 0, *(int(d) for d in size if d is not None))
    else:
        target = e.concat([e.ints(0, 0), *(e.dim(features.tensor, axis) for axis in axes)], -1)
    return e.op("Reshape", total, target, shape=[*total.shape[:2], *size])


def _on_grid(e: Emitter, features: FeatureMap, total: gs.Tensor) -> gs.Tensor:
    """(N, K, tokens) on the tokens' grid; any other layer's map as it is."""
    if not features.is_tokens:
        return total
    shape: Shape = [*total.shape[:2], *features.grid]
    return e.op("Reshape", total, e.ints(0, 0, *features.grid), shape=shape)


def _in_picture_order(e: Emitter, features: FeatureMap, total: gs.Tensor) -> gs.Tensor:
    """The spatial axes as depth, height, width, in whatever order the layer has them."""
    if features.is_tokens:
        return total
    axes = sorted(features.spatial)
    return e.transpose(total, [axes.index(axis) for axis in features.spatial])
