"""Ablation-CAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.methods.base import Searched
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register
from onnxcam.methods.search.layer_variants import scores_without
from onnxcam.methods.search.variants import by_channel

_THRESHOLD = 0.01


@register
@dataclass(frozen=True)
class AblationCAM(Searched):
    """ReLU of the channels' sum, each weighted by how much of the score is lost without it.

    Only what lies behind the layer is run, on activations with one channel set to zero, in the
    class and register tokens too; where the head pools the layer, on its means. Channels that are
    zero anyway take no run: nothing is lost.
    Zero is the paper's choice; pytorch-grad-cam agrees where a layer's smallest activation is 0,
    as behind a ReLU, and otherwise sets channels to the smallest one minus 1e7, of the batch as it
    is so far, so that its maps there depend on the batch size.
    As in both, weights are relative to the score: one below zero turns the map's sign.

    `ratio_channels_to_ablate` is pytorch-grad-cam's: below 1, only that share of the channels with
    the most, and the same share with the least, of their activation inside an EigenCAM mask are
    ablated; the rest count as of no effect.
    """

    ratio_channels_to_ablate: float = 1.0

    name = "ablationcam"
    title = "Ablation-CAM"
    formula = "ReLU(sum_k w_k A_k), w_k = (score - score without A_k) / score"
    paper = "Desai & Ramaswamy 2020, WACV"
    needs = ("forward only",)
    cost = "channels, of what is behind the layer"
    runs_behind = True

    def __post_init__(self) -> None:
        if not 0 < self.ratio_channels_to_ablate <= 1:
            ratio = self.ratio_channels_to_ablate
            raise MethodError(f"ratio_channels_to_ablate must be above 0 and up to 1, not {ratio}")

    def search(self, lab: Lab) -> np.ndarray:
        maps = by_channel(lab.features, lab.activations)[0]
        channel = lab.features.channel
        alive = np.moveaxis(lab.activations[0], channel, 0).reshape(len(maps), -1).any(axis=1)
        tried = np.flatnonzero(alive & self._chosen(maps))
        score = lab.score
        losses = np.zeros((len(maps), len(score)), np.float32)
        if len(tried):
            losses[tried] = score - scores_without(lab, tried)
        weights = losses / np.where(score == 0, 1, score)
        return np.maximum(np.tensordot(weights.T, maps, 1), 0)

    def _chosen(self, maps: np.ndarray) -> np.ndarray:
        """Which channels are worth a run."""
        count = len(maps)
        chosen = np.ones(count, bool)
        if self.ratio_channels_to_ablate < 1:
            share = int(count * self.ratio_channels_to_ablate)
            order = np.argsort(_share_inside(maps))
            chosen[order[share : count - share]] = False
        return chosen


def _share_inside(maps: np.ndarray) -> np.ndarray:
    """How much of each channel lies where the first principal component is not near its lowest."""
    flat = maps.reshape(len(maps), -1).T.astype(np.float64)
    centred = flat - flat.mean(0)
    projection = np.abs(centred @ np.linalg.svd(centred, full_matrices=False)[2][0])
    raised = projection - projection.min()
    inside = raised > _THRESHOLD * raised.max()
    sizes = np.abs(flat)
    sizes -= sizes.min(0)
    total = sizes.sum(0)
    return np.asarray(sizes[inside].sum(0) / np.where(total == 0, 1, total))
