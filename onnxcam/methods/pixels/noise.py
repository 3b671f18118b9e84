"""Gradients at noisy copies of the picture: their mean and their variance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.methods.lab import Lab
from onnxcam.methods.pixels.changed import OfChangedPictures, channel_axis, in_parts
from onnxcam.methods.registry import register


@dataclass(frozen=True)
class OfNoisyPictures(OfChangedPictures):
    """`samples` copies with normal noise, whose deviation is `noise` times the picture's range.

    The range is that of the numbers the model is fed. The noise is decided by `seed`. Captum's
    `NoiseTunnel` takes 5 samples and an absolute deviation, `stdevs`, of 1; these are SmoothGrad's.
    """

    needs = ("gradient",)
    cost = "gradients (50)"

    samples: int = 50
    noise: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise MethodError(f"{self.name} needs at least one sample, not {self.samples}")
        if not 0 <= self.noise < np.inf:
            raise MethodError(f"the noise is a share of the picture's range, not {self.noise}")

    def search(self, lab: Lab) -> np.ndarray:
        return self.combined(self._gradients(lab), channel_axis(lab)).astype(np.float32)

    @abstractmethod
    def combined(self, gradients: Iterator[np.ndarray], channel: int) -> np.ndarray:
        """The map (K, *size) of the samples' gradients, which come as arrays (some, K, ...)."""

    def _gradients(self, lab: Lab) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        x = lab.x.astype(np.float32)
        deviation = np.float32(self.noise * float(x.max() - x.min()))
        for part in in_parts(self.samples):
            shape = (part.stop - part.start, *x.shape[1:])
            noise = rng.standard_normal(shape, dtype=np.float32)
            yield lab.picture_gradients(x + deviation * noise).astype(np.float64)


@register
@dataclass(frozen=True)
class SmoothGrad(OfNoisyPictures):
    """The mean gradient over noisy copies of the picture: what flickers in it averages out.

    The signed gradients are averaged, as in the paper, and `saliency` is made of the mean.
    Captum's `NoiseTunnel(Saliency)` averages absolute ones unless told `abs=False`.
    """

    name = "smoothgrad"
    title = "SmoothGrad"
    formula = "max over channels of |mean of d score / d (x + noise)|"
    paper = "Smilkov et al. 2017, arXiv:1706.03825"

    def combined(self, gradients: Iterator[np.ndarray], channel: int) -> np.ndarray:
        mean = sum(part.sum(axis=0) for part in gradients) / self.samples
        return np.asarray(np.abs(mean).max(axis=channel))


@register
@dataclass(frozen=True)
class VarGrad(OfNoisyPictures):
    """The gradient's variance over noisy copies of the picture: where it depends on details.

    That of the samples themselves (divided by their number), as Captum has it.
    """

    name = "vargrad"
    title = "VarGrad"
    formula = "max over channels of the variance of d score / d (x + noise)"
    paper = "Adebayo et al. 2018, arXiv:1810.03292"

    def combined(self, gradients: Iterator[np.ndarray], channel: int) -> np.ndarray:
        total, squares = 0.0, 0.0
        for part in gradients:
            total, squares = total + part.sum(axis=0), squares + (part * part).sum(axis=0)
        mean = total / self.samples
        return np.asarray(np.maximum(squares / self.samples - mean * mean, 0).max(axis=channel))
