"""IS-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.interpolation import enlarged
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register
from onnxcam.methods.search.scorecam import WeightedByScores, masked_scores, of_varying, scaled
from onnxcam.methods.search.variants import picture_size


@register
@dataclass(frozen=True)
class ISCAM(WeightedByScores):
    """Score-CAM with masks that grow: each channel's score is a mean over the steps.

    torchcam's form: in step i of N the mask is multiplied by the sum of j / N over j = 1..i, so it
    ends at (N + 1) / 2, not at 1, as the paper's algorithm adds mask upon mask; the paper's sum
    starts with an empty mask, j = 0.
    """

    num_samples: int = 10

    name = "iscam"
    title = "IS-CAM"
    formula = "Score-CAM with w = softmax of the mean score of x * c_i M_k, c_i = sum_{j<=i} j/N"
    paper = "Naidu et al. 2020, arXiv:2010.03023"
    needs = ("forward only",)
    cost = "channels x samples (10)"

    def __post_init__(self) -> None:
        if self.num_samples < 1:
            raise MethodError(f"num_samples must be at least 1, not {self.num_samples}")

    def channel_scores(self, lab: Lab, maps: np.ndarray) -> np.ndarray:
        size = picture_size(lab)
        steps = np.cumsum(np.arange(1, self.num_samples + 1) / self.num_samples)

        def grown(factor: float, some: np.ndarray) -> np.ndarray:
            return np.float32(factor) * enlarged(scaled(some), size)

        def score(some: np.ndarray) -> np.ndarray:
            each = [masked_scores(lab, some, partial(grown, factor)) for factor in steps]
            return np.asarray(np.mean(each, axis=0))

        return of_varying(maps, score)
