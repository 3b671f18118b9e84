"""Variants of a picture or of activations, made and scored some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from onnxcam.graph.features import FeatureMap
from onnxcam.methods.lab import Lab

TOGETHER = 32
"""Variants that are held in memory at a time."""


def in_parts(count: int) -> Iterator[slice]:
    """So many variants, as many at a time as are held together."""
    return (slice(k, min(k + TOGETHER, count)) for k in range(0, count, TOGETHER))


def scored(
    count: int, make: Callable[[slice], np.ndarray], score: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Scores (count, K) of the variants that `make` makes of a part of the numbers up to count."""
    return np.concatenate([score(make(part)) for part in in_parts(count)])


def by_channel(features: FeatureMap, values: np.ndarray) -> np.ndarray:
    """Activations (n, ...) as (n, C, *size), without class and register tokens."""
    axes = range(1, 2 + len(features.spatial))
    channels_first = np.moveaxis(values, [features.channel, *features.spatial], axes)
    if not features.is_tokens:
        return channels_first
    stop = channels_first.shape[-1] - features.suffix
    return channels_first[..., features.prefix : stop].reshape(
        *channels_first.shape[:2], *features.grid
    )


def as_laid_out(features: FeatureMap, masks: np.ndarray, extra: float) -> np.ndarray:
    """Masks (n, *size) to multiply activations with, (n, ...), as those are laid out.

    `extra` is the factor of class and register tokens.
    """
    if features.is_tokens:
        rows = masks.reshape(len(masks), -1)
        ends = ((0, 0), (features.prefix, features.suffix))
        masks = np.pad(rows, ends, constant_values=extra)
    return np.moveaxis(
        masks[..., None], range(1, masks.ndim + 1), [*features.spatial, features.channel]
    )


def picture_axes(lab: Lab) -> tuple[int, ...]:
    """Where the spatial axes of the model's picture are."""
    first = 1 if lab.image.channels_last else 2
    return tuple(range(first, first + lab.x.ndim - 2))


def picture_size(lab: Lab) -> tuple[int, ...]:
    """Spatial size of the model's picture."""
    return tuple(lab.x.shape[axis] for axis in picture_axes(lab))


def masked(lab: Lab, masks: np.ndarray) -> np.ndarray:
    """The picture times masks (n, *size of the picture)."""
    factors = masks[..., None] if lab.image.channels_last else masks[:, None]
    return lab.x * factors
