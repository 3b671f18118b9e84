"""The sum over channels that most class activation maps end with."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap, without_extra_tokens


def weighted_channel_sum(e: Emitter, features: FeatureMap, weights: gs.Tensor) -> gs.Tensor:
    """sum_k w_k A_k at every position, for one or several targets: float32 (N, K, *size).

    `weights` are shaped like the features, with length 1 along the spatial axes and, for several
    targets, a leading axis. Emitted as one matrix product, which reads the activations once.
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
    dims: Shape = [n, k, *features.size]
    if is_static(features.size):
        target: gs.Tensor = e.ints(0, 0, *(int(d) for d in features.size if d is not None))
    else:
        sizes = [e.dim(features.tensor, axis) for axis in features.spatial]
        target = e.concat([e.ints(0, 0), *sizes], -1)
    return e.cast(e.op("Reshape", total, target, shape=dims), np.float32)


def _flat(e: Emitter, x: gs.Tensor, target: gs.Tensor, shape: Shape) -> gs.Tensor:
    return x if len(x.shape) == 3 else e.op("Reshape", x, target, shape=shape)


def _targets_by_channel(e: Emitter, weights: gs.Tensor, features: FeatureMap) -> gs.Tensor:
    """(N, K, C) of weights with a leading axis of K targets, or of one target without it."""
    several = len(weights.shape) > len(features.tensor.shape)
    flat = e.squeeze(weights, features.spatial)
    return e.transpose(flat, (1, 0, 2)) if several else e.unsqueeze(flat, [1])
