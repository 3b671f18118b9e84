"""RISE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.interpolation import interpolated, linear_weights
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register
from onnxcam.methods.search.black_box import BlackBox
from onnxcam.methods.search.variants import in_parts, masked, picture_size


@register
@dataclass(frozen=True)
class RISE(BlackBox):
    """The mean of random masks, each weighted by the target's probability behind it.

    A mask is a grid of cells, each open with `probability`, enlarged linearly to a little more
    than the picture and cut out at a random place. Divided by that probability, so that a pixel's
    value is the probability to expect when it is seen, as in the paper. Targets without a
    probability are weighted by their score. Defaults are the paper's, for VGG-16 (it takes 8000
    samples for ResNet-50); OpenVINO XAI enlarges by cubic splines, and does not divide.
    """

    samples: int = 4000
    cells: int = 7
    probability: float = 0.5
    seed: int = 0

    name = "rise"
    title = "RISE"
    formula = "sum_i p(x * M_i) M_i / (samples * P(open)), M_i a random mask"
    paper = "Petsiuk et al. 2018, arXiv:1806.07421"
    needs = ("forward only",)
    cost = "samples (4000)"

    def __post_init__(self) -> None:
        if self.samples < 1 or self.cells < 1:
            raise MethodError(f"no map from {self.samples} masks of {self.cells} cells a side")
        if not 0 < self.probability < 1:
            raise MethodError(f"probability must lie between 0 and 1, not be {self.probability}")

    def search(self, lab: Lab) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        size = picture_size(lab)
        score = lab.probabilities if lab.has_probability else lab.scores
        total = np.zeros((len(lab.score), *size), np.float64)
        for part in in_parts(self.samples):
            masks = np.stack([self._mask(rng, size) for _ in range(part.stop - part.start)])
            total += np.tensordot(score(masked(lab, masks)).T, masks, 1)
        return np.asarray(total / (self.samples * self.probability), np.float32)

    def _mask(self, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        """Float32 (*size), in [0, 1]."""
        mask = (rng.random([self.cells] * len(size)) < self.probability).astype(np.float32)
        weights = []
        for pixels in size:
            cell = -(-pixels // self.cells)
            start = int(rng.integers(cell))
            whole = linear_weights(self.cells, (self.cells + 1) * cell)
            weights.append(whole[:, start : start + pixels])
        return interpolated(mask, weights)
