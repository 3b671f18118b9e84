"""A file that onnxcam rewrote beforehand, in ONNX Runtime alone."""

from __future__ import annotations

import numpy as np

from bench.contestants.prediction import session
from bench.task import Run, Task


def enter(task: Task) -> Run:
    """The file is written the first time, which is not measured."""
    file = task.folder / f"explained.{task.method}.onnx"
    if not file.exists():
        import onnxcam

        made = onnxcam.rewrite(task.model, task.method, task.place.tensor, profile=task.device)
        onnxcam.save_model(made, file)
    running = session(str(file), task)
    feeds = {"image": task.input, "cam_class": np.array([task.classes], np.int64)}
    return lambda: running.run(["cam"], feeds)[0][0, 0]
