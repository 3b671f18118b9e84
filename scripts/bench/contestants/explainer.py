"""onnxcam's Python interface: `Explainer`, from the file to the raw map of one class."""

from __future__ import annotations

import numpy as np

import onnxcam
from bench.contestants.prediction import PROVIDERS
from bench.task import Run, Task


def enter(task: Task) -> Run:
    explainer = onnxcam.Explainer(
        task.model, task.method, layer=task.place.tensor, providers=PROVIDERS[task.device]
    )
    x, (one,) = task.input, task.classes

    def run() -> np.ndarray:
        return explainer.run(x, target=one, outputs=())["raw"][0, 0]

    return run
