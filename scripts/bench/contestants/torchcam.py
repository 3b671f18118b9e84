"""torchcam, on the module that the file was exported from."""

from __future__ import annotations

import numpy as np
import torch
from torchcam import methods

from bench.contestants.torch_module import image, module, output_of, reshape
from bench.task import Run, Task

CLASSES = {"gradcam": "GradCAM", "scorecam": "ScoreCAM", "layercam": "LayerCAM"}
"""Its class for each of our names."""


def enter(task: Task) -> Run:
    network, x = module(task), image(task)
    if reshape(task.place, output_of(network, task.place.module, x[:1]).shape):
        raise ValueError("it has no way to say that tokens form a grid")
    arguments = {"batch_size": 32} if task.method == "scorecam" else {}
    extractor = getattr(methods, CLASSES[task.method])(
        network, network.get_submodule(task.place.module), **arguments
    )
    several = len(task.classes) > 1

    def run() -> np.ndarray:
        with torch.set_grad_enabled(task.method != "scorecam"):
            scores = network(x)
            maps = [
                extractor([one] * task.batch, scores, retain_graph=several)
                if task.method != "scorecam"
                else extractor([one] * task.batch)
                for one in task.classes
            ]
        return maps[0][0][0].cpu().numpy()

    return run
