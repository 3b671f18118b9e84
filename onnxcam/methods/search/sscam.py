"""SS-CAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.interpolation import enlarged
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register
from onnxcam.methods.search.scorecam import WeightedByScores, masked_scores, scaled
from onnxcam.methods.search.variants import picture_size


@register
@dataclass(frozen=True)
class SSCAM(WeightedByScores):
    """Score-CAM with noise on the masks: each channel's score is a mean over noisy copies.

    torchcam's form, which is the paper's second one (noise on the normalised activations; the
    first puts it on the picture), with its defaults: scaled, enlarged side to side, and then with
    Gaussian noise of standard deviation `std` added to every pixel of the mask. Only the random
    numbers are others.
    """

    num_samples: int = 35
    std: float = 2.0
    seed: int = 0

    name = "sscam"
    title = "SS-CAM"
    formula = "Score-CAM with w = softmax of the mean score of x * (M_k + noise)"
    paper = "Wang et al. 2020, arXiv:2006.14255"
    needs = ("forward only",)
    cost = "channels x samples (35)"

    def __post_init__(self) -> None:
        if self.num_samples < 1:
            raise MethodError(f"num_samples must be at least 1, not {self.num_samples}")
        if not 0 <= self.std < float("inf"):
            raise MethodError(f"std, a standard deviation, cannot be {self.std}")

    def channel_scores(self, lab: Lab, maps: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        size = picture_size(lab)

        def noisy(some: np.ndarray) -> np.ndarray:
            masks = enlarged(scaled(some), size)
            return masks + np.float32(self.std) * rng.standard_normal(masks.shape, np.float32)

        total = np.zeros((len(maps), len(lab.score)))
        for _ in range(self.num_samples):
            total += masked_scores(lab, maps, noisy)
        return total / self.num_samples
