"""The file turned into a PyTorch module by onnx2torch, for pytorch-grad-cam.

Which of its modules is the layer has to be found out: that with the layer's values.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import torch

from bench.contestants.pytorch_grad_cam import on
from bench.contestants.torch_module import image, module, output_of
from bench.task import Place, Run, Task

# isort: split
import onnx2torch

SAME = 1e-4
"""Of the largest value: what a conversion may change."""


def enter(task: Task) -> Run:
    torch.set_num_threads(task.threads)
    converted = onnx2torch.convert(onnx.load(task.model)).eval().to(task.device)
    return on(converted, task, [_found(converted, place, task) for place in task.places])


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.abs(one - other).max() <= SAME * np.abs(other).max()


def _found(converted: torch.nn.Module, place: Place, task: Task) -> Place:
    x = image(task)[:1]
    wanted = output_of(module(task), place.module, x).cpu().numpy()
    found: list[str] = []

    def compare(path: str) -> None:
        def hook(_: object, __: object, out: object) -> None:
            if isinstance(out, torch.Tensor) and _same(out.detach().cpu().numpy(), wanted):
                found.append(path)

        hooks.append(converted.get_submodule(path).register_forward_hook(hook))

    hooks: list[torch.utils.hooks.RemovableHandle] = []
    for path, _ in converted.named_children():
        compare(path)
    with torch.no_grad():
        converted(x)
    for hook in hooks:
        hook.remove()
    if not found:
        raise ValueError("no module of the converted network has the layer's values")
    return replace(place, module=found[0])
