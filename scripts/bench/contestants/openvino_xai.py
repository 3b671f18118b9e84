"""OpenVINO XAI: the file in its own format with the explanation inside, in OpenVINO.

It explains all classes at once. float32: by itself OpenVINO rounds to bfloat16 where the processor
has it.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino_xai.methods.white_box.recipro_cam import ReciproCAM, ViTReciproCAM

from bench.task import Run, Task

METHODS = {"reciprocam": ReciproCAM, "vitreciprocam": ViTReciproCAM}


def enter(task: Task) -> Run:
    if task.device != "cpu":
        raise ValueError("it explains on the CPU")
    core = ov.Core()
    layer = {"target_layer": task.place.tensor.removesuffix("_output_0")}  # as the node is called
    method = METHODS[task.method](
        core.read_model(task.model),
        embed_scaling=False,
        prepare_model=False,
        **(layer if task.method == "reciprocam" else {}),  # the other has tokens by itself
    )
    explained = method.prepare_model(load_model=False)
    settings = {"INFERENCE_NUM_THREADS": task.threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(explained, "CPU", settings)
    x, one = task.input, task.classes[0]

    def run() -> np.ndarray:
        return compiled(x)["saliency_map"][0, one]

    return run
