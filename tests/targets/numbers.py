"""Scores of targets and their gradients, and what differences of the scores say of them."""

from __future__ import annotations

import numpy as np
import onnx

from onnxcam import Explainer
from onnxcam.equipment import Equipment
from onnxcam.targets import Target, Wanted, joined

EPSILON = 2e-2
TOLERANCE = 1e-3


class Numbers:
    """One target (or one a picture) of a model, for pictures x (N, ...)."""

    def __init__(
        self, model: onnx.ModelProto | Explainer, wanted: Wanted | list[Wanted], x: np.ndarray
    ) -> None:
        self.explainer = model if isinstance(model, Explainer) else Explainer(model)
        self.feeds = {self.explainer.image.name: x}
        each = wanted if isinstance(wanted, list) else [wanted] * len(x)
        self.target: Target = joined(each, self.explainer.case(self.feeds))
        self.equipment = Equipment(self.explainer.network, (), self.target, None)

    def answer(self, x: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Every output of the model, and the target's."""
        feeds = self.feeds if x is None else {self.explainer.image.name: x}
        return self.equipment.answer(feeds, self.target)

    @property
    def score(self) -> np.ndarray:
        return self.answer()["cam_score"]

    @property
    def index(self) -> np.ndarray:
        return self.answer()["cam_target"]

    @property
    def probability(self) -> np.ndarray:
        return self.answer()["cam_probability"]

    @property
    def gradient(self) -> np.ndarray:
        """Of each score with respect to its picture, (N, K, ...)."""
        return self.equipment.picture_gradients(self.feeds, self.target)

    def require_gradient(self, of: str = "cam_score") -> None:
        """Along three random directions, the gradient and differences of the scores, or of
        another output, agree.

        The differences of two step sizes are extrapolated (Richardson) to that of none.
        """
        x = self.feeds[self.explainer.image.name]
        gradient = self.gradient.astype(np.float64)
        assert gradient.any()
        for seed in range(3):
            step = np.random.default_rng(seed).standard_normal(x.shape).astype(x.dtype)
            rough, fine = (self._slope(of, x, step, e) for e in (EPSILON, EPSILON / 2))
            slope = (4 * fine - rough) / 3
            axes = tuple(range(2, gradient.ndim))
            expected = (gradient * step[:, None]).sum(axis=axes)
            scale = np.abs(expected).max()
            np.testing.assert_allclose(expected, slope, atol=TOLERANCE * scale)

    def _slope(self, of: str, x: np.ndarray, step: np.ndarray, epsilon: float) -> np.ndarray:
        """Central differences of an output (N, K)."""
        ahead, behind = (
            self.answer(x + (sign * epsilon * step).astype(x.dtype))[of] for sign in (1, -1)
        )
        return np.asarray((ahead.astype(np.float64) - behind) / (2 * epsilon))
