"""Gradients of detections against differences."""

from __future__ import annotations

import numpy as np
import onnx
from graphs import weights
from targets.boxes.detectors import batch
from targets.numbers import Numbers

from onnxcam.targets import Box
from onnxcam.targets.base import Held
from onnxcam.targets.boxes import ROW_INPUT
from onnxcam.targets.classes import CLASS_INPUT


def require_gradient_of_rows(model: onnx.ModelProto, what: str) -> None:
    """The gradients of the two best detections are the slopes of the numbers in their rows."""
    x = batch(1, model)
    first = Numbers(model, Box.best(2), x).answer()
    kept = {name: first[f"{name}/chosen"] for name in (ROW_INPUT, CLASS_INPUT)}
    numbers = Numbers(model, Held(Box(what=what, count=2), kept), x)
    step = weights(*x.shape, seed=5)
    size = 4e-2

    def slope(by: float) -> np.ndarray:
        ahead, behind = (
            numbers.answer(x + np.float32(sign * by) * step)["cam_score"].astype(np.float64)
            for sign in (1, -1)
        )
        return np.asarray((ahead - behind) / (2 * by))

    expected = (4 * slope(size / 2) - slope(size)) / 3
    gradient = (numbers.gradient * step[:, None]).sum(axis=(2, 3, 4))
    rounding = 1e-6 * np.abs(numbers.score).max() / size
    np.testing.assert_allclose(gradient, expected, atol=3e-3 * np.abs(expected).max() + rounding)
