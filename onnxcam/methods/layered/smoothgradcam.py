"""Smooth Grad-CAM++."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.graph.features import FeatureMap
from onnxcam.methods.base import Searched
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register


@register
@dataclass(frozen=True)
class SmoothGradCAMPlusPlus(Searched):
    """Grad-CAM++ with powers of the gradient averaged over noisy copies of the picture.

    `samples` copies carry normal noise whose deviation is `noise` times the range of the numbers
    the model is fed: 0.07 is about torchcam's 0.3 for pictures normalised as ImageNet's. `seed`
    decides the noise. A is the unchanged picture's, and the first powers are averaged, as the paper
    has it; torchcam 0.5 takes the activations and the first powers of the last copy. The
    coefficient has the second powers above the fraction, as in Grad-CAM++ and torchcam (the paper
    prints the first), and torchcam's `eps` below. torchcam's code sums D3 times A over positions,
    its documentation and the paper A alone, as this does.
    """

    samples: int = 4
    noise: float = 0.07
    seed: int = 0
    eps: float = 1e-8

    name = "smoothgradcam++"
    title = "Smooth Grad-CAM++"
    formula = (
        "ReLU(sum_k w_k A_k), w_k = sum of a ReLU(D1), a = D2 / (2 D2 + D3 sum A_k + eps), "
        "Dp the mean of g^p over noisy pictures"
    )
    paper = "Omeiza et al. 2019, arXiv:1908.01224"
    needs = ("gradient",)
    cost = "gradients (4)"

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise MethodError(f"smoothgradcam++ needs at least one sample, not {self.samples}")
        if not 0 <= self.noise < math.inf:
            raise MethodError(f"the noise is a share of the picture's range, not {self.noise}")
        if not 0 <= self.eps < math.inf:
            raise MethodError(f"smoothgradcam++: eps is {self.eps}; it must be 0 or more")

    def search(self, lab: Lab) -> np.ndarray:
        x = lab.x.astype(np.float32)
        rng = np.random.default_rng(self.seed)
        noise = rng.standard_normal((self.samples, *x.shape[1:]), dtype=np.float32)
        pictures = x + np.float32(self.noise * float(x.max() - x.min())) * noise
        gradients = at_places(lab.gradients(pictures)[1].astype(np.float64), lab.features)
        activations = at_places(lab.activations.astype(np.float64), lab.features)
        return smooth_map(activations[0], gradients, self.eps)


def smooth_map(activations: np.ndarray, gradients: np.ndarray, eps: float) -> np.ndarray:
    """The map (K, *size) of activations (*size, C) and samples' gradients (n, K, *size, C)."""
    spatial = tuple(range(activations.ndim - 1))
    first, second, third = (np.mean(gradients**power, axis=0) for power in (1, 2, 3))
    below = 2 * second + third * activations.sum(axis=spatial) + eps
    share = np.divide(second, below, out=np.zeros_like(below), where=below != 0)
    over_positions = tuple(axis + 1 for axis in spatial)
    weights = (share * np.maximum(first, 0)).sum(axis=over_positions)
    return np.maximum(np.tensordot(weights, activations, axes=(-1, -1)), 0).astype(np.float32)


def at_places(values: np.ndarray, features: FeatureMap) -> np.ndarray:
    """Activations or gradients, leading axes kept, with spatial axes in the picture's order and
    the channels last; class and register tokens left out."""
    behind = [*features.spatial, features.channel]
    moved = np.moveaxis(values, behind, range(-len(behind), 0))
    if not features.is_tokens:
        return moved
    rows = moved[..., features.prefix : moved.shape[-2] - features.suffix, :]
    return rows.reshape(*rows.shape[:-2], *features.grid, rows.shape[-1])
