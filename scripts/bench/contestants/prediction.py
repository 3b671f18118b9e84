"""The bare model in ONNX Runtime: what an explanation is measured in."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from bench.task import Run, Task


def session(model: str | bytes, threads: int) -> ort.InferenceSession:
    """On the CPU, in that many threads."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def enter(task: Task) -> Run:
    running, x = session(str(task.model), task.threads), task.input

    def run() -> np.ndarray:
        return running.run(None, {"image": x})[0]

    return run
