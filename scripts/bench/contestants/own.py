"""onnxcam: the rewritten file in ONNX Runtime; methods that search run by `Explainer`."""

from __future__ import annotations

import numpy as np

import onnxcam
from bench.contestants import explainer
from bench.contestants.prediction import session
from bench.task import Run, Task
from onnxcam.gradients import append_gradients
from onnxcam.methods import find_method


def enter(task: Task) -> Run:
    if task.method == "gradient":
        return _gradient(task)
    return _rewritten(task) if find_method(task.method).bakes else explainer.enter(task)


def _rewritten(task: Task) -> Run:
    made = onnxcam.rewrite(
        task.model,
        task.method,
        layer=[place.tensor for place in task.places] or None,
        top=len(task.classes),
        profile=task.device,
    ).SerializeToString()  # the model itself need not be held while a session starts
    running = session(made, task)
    feeds = {"image": task.input, "cam_class": np.array([task.classes], np.int64)}
    return lambda: running.run(["cam"], feeds)[0][0, 0]


def _gradient(task: Task) -> Run:
    """With respect to the image, of one class's logit."""
    made = append_gradients(task.model, of="logits", wrt=["image"], seed=True).SerializeToString()
    running = session(made, task)
    seed = np.zeros((task.batch, 1000), np.float32)
    seed[:, task.classes[0]] = 1
    feeds = {"image": task.input, "logits_seed": seed}
    return lambda: running.run(["image_grad"], feeds)[0][0]
