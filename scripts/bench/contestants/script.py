"""A bare script: it reads a picture, runs the model and says the best class."""

from __future__ import annotations

import cv2
import numpy as np
import onnxruntime as ort

from bench.task import Run, Task

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def enter(task: Task) -> Run:
    def run() -> np.ndarray:
        running = ort.InferenceSession(str(task.model), providers=["CPUExecutionProvider"])
        picture = cv2.cvtColor(cv2.imread(task.pictures[0]), cv2.COLOR_BGR2RGB)
        fitted = cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA)
        x = ((fitted.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)[None]
        best = running.run(None, {"image": x})[0].argmax()
        print(best)
        return best

    return run
