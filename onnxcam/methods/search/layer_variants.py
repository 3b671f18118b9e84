"""Variants of a layer's activations, and the scores behind them.

Where the head pools the layer, a variant is no more than its channels' means: thousands of maps
become one matrix product.
"""

from __future__ import annotations

import numpy as np

from onnxcam.methods.lab import Lab
from onnxcam.methods.search.variants import as_laid_out, by_channel, scored


def scores_of_places(lab: Lab, masks: np.ndarray) -> np.ndarray:
    """The targets' scores (n, K) on the activations times masks (n, *size).

    Class and register tokens stay.
    """
    if lab.pools:
        maps = by_channel(lab.features, lab.activations)[0]
        rows = masks.reshape(len(masks), -1)
        # Not by BLAS: its threads and ONNX Runtime's wait for each other longer than this takes.
        sums = np.einsum("np,cp->nc", rows, maps.reshape(len(maps), -1))
        return lab.scores_of_means(sums / rows.shape[1])

    def alone(part: slice) -> np.ndarray:
        return lab.activations * as_laid_out(lab.features, masks[part], 1)

    return scored(len(masks), alone, lab.head_scores)


def scores_without(lab: Lab, channels: np.ndarray) -> np.ndarray:
    """The targets' scores (n, K) with each of some channels set to zero, extra tokens' too."""
    if lab.pools:
        maps = by_channel(lab.features, lab.activations)[0]
        means = maps.reshape(len(maps), -1).mean(1)
        return lab.scores_of_means(_each_zeroed(means[None], channels, 1))

    def ablated(part: slice) -> np.ndarray:
        return _each_zeroed(lab.activations, channels[part], lab.features.channel)

    return scored(len(channels), ablated, lab.head_scores)


def _each_zeroed(values: np.ndarray, channels: np.ndarray, axis: int) -> np.ndarray:
    """Copies of values (1, ...), each without one of the channels."""
    variants = np.repeat(values, len(channels), axis=0)
    np.moveaxis(variants, axis, 1)[np.arange(len(channels)), channels] = 0
    return variants
