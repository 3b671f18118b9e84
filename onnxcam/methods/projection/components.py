"""First principal components of activations, as maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap
from onnxcam.methods.channels import for_every_target, in_picture, places
from onnxcam.methods.projection.singular import first_scores
from onnxcam.methods.scene import Scene


def first_component(scene: Scene, weights: gs.Tensor) -> gs.Tensor:
    """Weighted activations on their first principal axis: float32 (N, K, *size).

    `weights` are what `ChannelSum.weights` gives: shaped like the layer without extra tokens, with
    an axis of K targets in front if they differ between targets; they may be lazy. Each position is
    a point w A with one coordinate a channel. Of the two signs it gets the one with which it varies
    with the sum over channels, the map that it stands for.
    """
    e = scene.e
    scores, points = weighted_scores(scene, weights)
    return as_maps(scene, along(e, scores, points()))


def weighted_scores(scene: Scene, weights: gs.Tensor) -> tuple[gs.Tensor, Callable[[], gs.Tensor]]:
    """Scores (..., 1, P) of weighted activations, and their sum over channels (..., 1, P).

    The sum, which not everybody needs, is emitted when asked for.
    """
    e, features = scene.e, scene.features
    weights = e.cast(weights, np.float32)
    activations = places(scene)
    if any(weights.shape[axis] != 1 for axis in features.spatial):
        points = by_channel(e, features, e.mul(activations, weights))
        points, unit = _in_units(e, points)
        scores = first_scores(e, centred(e, points))
        return e.mul(scores, unit), lambda: e.reduce("ReduceSum", points, [-2])
    points = by_channel(e, features, activations)
    flat = e.squeeze(e.expand(weights, features.tensor, [features.channel]), features.spatial)
    stretch, unit = _in_units(e, e.unsqueeze(flat, [-1]))
    scores = first_scores(e, centred(e, points), stretch)
    return e.mul(scores, unit), lambda: e.matmul(e.transpose(stretch, (1, 0)), points)


def _in_units(e: Emitter, x: gs.Tensor) -> tuple[gs.Tensor, gs.Tensor]:
    """x by its largest absolute value, and that: what is left of it where gradients vanish."""
    unit = e.reduce("ReduceMax", e.unary("Abs", x), [-2, -1])
    unit = e.add(unit, float(np.finfo(np.float32).tiny))
    return e.div(x, unit), unit


def by_channel(e: Emitter, features: FeatureMap, values: gs.Tensor) -> gs.Tensor:
    """Values of the layer as float32 (..., C, positions), the positions in the layer's order."""
    values = e.cast(values, np.float32)
    rank, lead = len(features.tensor.shape), len(values.shape) - len(features.tensor.shape)
    order = [-rank, features.channel, *sorted(features.spatial)]
    values = e.transpose(values, [axis + rank for axis in order])
    if rank == 3:
        return values
    kept = list(values.shape[: lead + 2])
    shape: Shape = [*kept, _product(values.shape[lead + 2 :])]
    return e.op("Reshape", values, e.ints(*[0] * len(kept), -1), shape=shape)


def _product(dims: Shape) -> int | None:
    known = [dim for dim in dims if isinstance(dim, int)]
    return int(np.prod(known, dtype=np.int64)) if len(known) == len(dims) else None


def centred(e: Emitter, points: gs.Tensor) -> gs.Tensor:
    """Points (..., C, P) about their mean."""
    return e.sub(points, e.reduce("ReduceMean", points, [-1]))


def along(e: Emitter, scores: gs.Tensor, reference: gs.Tensor) -> gs.Tensor:
    """Scores (..., 1, P), or their negative: the one that varies with `reference`."""
    covariance = e.reduce("ReduceSum", e.mul(scores, reference), [-1])
    return e.where(e.less(covariance, 0), e.unary("Neg", scores), scores)


def highest_up(e: Emitter, scores: gs.Tensor) -> gs.Tensor:
    """Scores (..., 1, P), or their negative: the one whose largest absolute value is positive."""
    highest, lowest = (e.reduce(op, scores, [-1]) for op in ("ReduceMax", "ReduceMin"))
    return e.where(e.less(e.add(highest, lowest), 0), e.unary("Neg", scores), scores)


def as_maps(scene: Scene, scores: gs.Tensor) -> gs.Tensor:
    """Scores (K, N, 1, P), or (N, 1, P) for all targets, as maps (N, K, *size)."""
    e = scene.e
    if len(scores.shape) == 4:
        flat = e.transpose(e.squeeze(scores, [-2]), (1, 0, 2))
        return in_picture(e, scene.features, flat)
    return for_every_target(scene, in_picture(e, scene.features, scores))
