"""The bare model in ONNX Runtime: what an explanation is measured in."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from bench.task import Run, Task

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def session(model: str | bytes, task: Task) -> ort.InferenceSession:
    """On the task's device, and nowhere else instead. Raises `RuntimeError`."""
    if task.device == "cuda":
        ort.preload_dlls()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = task.threads
    provider = PROVIDERS[task.device]
    made = ort.InferenceSession(model, options, providers=[provider])
    if made.get_providers()[0] != provider:
        raise RuntimeError(f"ONNX Runtime has no {provider} here")
    return made


def enter(task: Task) -> Run:
    running, x = session(str(task.model), task), task.input

    def run() -> np.ndarray:
        return running.run(None, {"image": x})[0]

    return run
