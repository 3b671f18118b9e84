"""Score-CAM."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np

from onnxcam.interpolation import corner_weights, interpolated
from onnxcam.methods.base import Searched
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register
from onnxcam.methods.search.variants import (
    by_channel,
    masked,
    picture_size,
    scored,
)

_EPSILON = 1e-8
"""Added to a mask's range before it is divided by, as pytorch-grad-cam and torchcam do."""


class WeightedByScores(Searched):
    """ReLU of the channels' sum, each weighted by how well the target scores on the picture
    behind the channel's mask: a softmax over all channels.

    The papers weight by the rise of the score over a baseline's. That is the same: a softmax does
    not change when a number is taken from all scores.
    """

    def search(self, lab: Lab) -> np.ndarray:
        maps = by_channel(lab.features, lab.activations)[0]
        scores = self.channel_scores(lab, with_axes(maps, len(picture_size(lab))))
        weights = _softmax(scores)
        return np.maximum(np.tensordot(weights.T, maps, 1), 0)

    @abstractmethod
    def channel_scores(self, lab: Lab, maps: np.ndarray) -> np.ndarray:
        """The targets' scores (C, K) on the picture masked by each of the maps (C, *size).

        The maps have as many axes as the picture."""


@register
class ScoreCAM(WeightedByScores):
    """Channels weighted by the score of the picture behind their activations as a mask.

    As in pytorch-grad-cam, masks are enlarged corner to corner and then scaled to [0, 1], and a
    picture is masked in the model's input range (so that 0 is its mean colour, mostly). torchcam
    scales before it enlarges, side to side. The paper's code takes scores behind a softmax, its
    text and the libraries take logits.
    Channels that are the same everywhere make an empty mask, which is scored once for all of
    them; pytorch-grad-cam enlarges rounding errors to a mask there, unless the channel is zero.
    """

    name = "scorecam"
    title = "Score-CAM"
    formula = "ReLU(sum_k w_k A_k), w = softmax of the scores of x * M_k, M_k = A_k in [0, 1]"
    paper = "Wang et al. 2020, arXiv:1910.01279"
    needs = ("forward only",)
    cost = "channels"

    def channel_scores(self, lab: Lab, maps: np.ndarray) -> np.ndarray:
        lengths = zip(maps.shape[1:], picture_size(lab), strict=True)
        weights = [corner_weights(old, new) for old, new in lengths]

        def masks(some: np.ndarray) -> np.ndarray:
            return scaled(interpolated(some, weights))

        return of_varying(maps, lambda some: masked_scores(lab, some, masks))


def masked_scores(
    lab: Lab, maps: np.ndarray, masks: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The targets' scores (n, K) on the picture behind what `masks` makes of some of the maps."""
    return scored(len(maps), lambda part: masked(lab, masks(maps[part])), lab.scores)


def of_varying(maps: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Scores (C, K) of maps (C, *size); constant ones count as zero and are scored together."""
    flat = maps.reshape(len(maps), -1)
    varying = flat.max(1) > flat.min(1)
    if varying.all():
        return score(maps)
    some = score(np.concatenate([maps[varying], np.zeros_like(maps[:1])]))
    scores = np.repeat(some[-1:], len(maps), axis=0)
    scores[varying] = some[:-1]
    return scores


def with_axes(maps: np.ndarray, rank: int) -> np.ndarray:
    """Maps (n, *size) with a size of that many axes: constant along those that are new, in front.

    Tokens of a picture without a known grid are maps of one axis, say.
    """
    return maps.reshape(len(maps), *[1] * (rank + 1 - maps.ndim), *maps.shape[1:])


def scaled(maps: np.ndarray) -> np.ndarray:
    """Maps (n, *size), each scaled to [0, 1]; a constant one becomes zero."""
    axes = tuple(range(1, maps.ndim))
    maps = maps - maps.min(axes, keepdims=True)
    return np.asarray(maps / (maps.max(axes, keepdims=True) + _EPSILON), np.float32)


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over the channels, axis 0."""
    raised = np.exp(scores - scores.max(0))
    return np.asarray(raised / raised.sum(0), np.float32)
