"""Captum, on the module that the file was exported from."""

from __future__ import annotations

import numpy as np
from captum.attr import LayerGradCam, Saliency

from bench.contestants.torch_module import image, module, output_of, reshape
from bench.task import Run, Task


def enter(task: Task) -> Run:
    network, x = module(task), image(task).requires_grad_()
    if task.method == "gradient":
        saliency, one = Saliency(network), task.classes[0]
        return lambda: saliency.attribute(x, target=one, abs=False)[0].cpu().numpy()
    if reshape(task.place, output_of(network, task.place.module, x[:1]).shape):
        raise ValueError("it has no way to say that tokens form a grid")
    cam = LayerGradCam(network, network.get_submodule(task.place.module))

    def run() -> np.ndarray:
        maps = [cam.attribute(x, target=one, relu_attributions=True) for one in task.classes]
        return maps[0][0, 0].detach().cpu().numpy()

    return run
