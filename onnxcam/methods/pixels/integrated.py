"""Integrated Gradients."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.methods.lab import Lab
from onnxcam.methods.pixels.changed import OfChangedPictures, channel_axis, in_parts
from onnxcam.methods.registry import register

RULES = (
    "gausslegendre",
    "riemann_left",
    "riemann_middle",
    "riemann_right",
    "riemann_trapezoid",
)


@register
@dataclass(frozen=True)
class IntegratedGradients(OfChangedPictures):
    """The gradient's mean on the straight way from a baseline to the picture, times that way.

    Signed; the map sums to score(picture) - score(baseline). `baseline` is a number, or an array
    that broadcasts to one model-ready picture, in the model's own numbers: 0 is what the
    preprocessing maps to 0, not black. `steps` and `rule` (of quadrature) are Captum's
    `n_steps` and `method` with its defaults; the paper has a right Riemann sum. Captum's
    "riemann_trapezoid" gives its weights the sum 1 - 1 / steps, which is no mean; here it is 1.
    """

    name = "integratedgradients"
    title = "Integrated Gradients"
    formula = (
        "sum over channels of (x - b) times the mean of d score / d x over b + a (x - b), a in 0..1"
    )
    paper = "Sundararajan et al. 2017, arXiv:1703.01365"
    needs = ("gradient",)
    cost = "gradients (50)"

    baseline: float | np.ndarray = field(default=0.0, compare=False)
    steps: int = 50
    rule: str = "gausslegendre"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise MethodError(f"no quadrature rule '{self.rule}'; there is {', '.join(RULES)}")
        least = 1 if self.rule == "gausslegendre" else 2
        if self.steps < least:
            raise MethodError(f"{self.rule} needs at least {least} steps, not {self.steps}")
        if not np.isfinite(self.baseline).all():
            raise MethodError("the baseline is not finite")

    def search(self, lab: Lab) -> np.ndarray:
        x = lab.x.astype(np.float32)
        way = x - self._start(x)
        places, weights = quadrature(self.rule, self.steps)
        mean = np.zeros((len(lab.score), *x.shape[1:]))
        for part in in_parts(self.steps):
            at = places[part].reshape(-1, *[1] * (x.ndim - 1))
            pictures = (x - (1 - at) * way).astype(np.float32)
            mean += np.tensordot(weights[part], lab.picture_gradients(pictures), 1)
        return (mean * way).sum(channel_axis(lab)).astype(np.float32)

    def _start(self, x: np.ndarray) -> np.ndarray:
        try:
            return np.broadcast_to(np.asarray(self.baseline, np.float32), x.shape)
        except ValueError:
            shape = np.shape(self.baseline)
            raise MethodError(
                f"a baseline of shape {shape} does not fit pictures of shape {x.shape[1:]}"
            ) from None


def quadrature(rule: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in 0..1 and the weights of the values there."""
    if rule == "gausslegendre":
        places, weights = np.polynomial.legendre.leggauss(steps)
        return (1 + places) / 2, weights / 2
    if rule == "riemann_trapezoid":
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    offset = {"riemann_left": 0.0, "riemann_middle": 0.5, "riemann_right": 1.0}[rule]
    return (np.arange(steps) + offset) / steps, np.full(steps, 1 / steps)
