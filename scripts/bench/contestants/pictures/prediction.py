"""Reading pictures ahead on threads, as onnxcam does, and the bare model: no explanation."""

from __future__ import annotations

import numpy as np

import onnxcam
from bench.contestants.prediction import session
from bench.task import Run, Task
from onnxcam.execution import ordered
from onnxcam.streaming import workers


def enter(task: Task) -> Run:
    explainer = onnxcam.Explainer(task.model, preprocess="imagenet")
    running = session(str(task.model), task)

    def read(path: str) -> np.ndarray:
        return explainer._assembly.prepared(path).x

    def run() -> np.ndarray:
        for x in ordered(iter(task.pictures), read, workers(), 2 * workers()):
            logits = running.run(None, {"image": x})[0]
        return logits

    return run
