"""pytorch-grad-cam as its guides use it: read, stack, explain, draw, one after the other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from bench.contestants.torch_module import image, module, output_of, reshape
from bench.task import Run, Task

# isort: split
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def enter(task: Task) -> Run:
    network, example = module(task), image(task)
    side = example.shape[-1]
    shape = output_of(network, task.place.module, example[:1]).shape
    cam = GradCAM(
        network,
        [network.get_submodule(task.place.module)],
        reshape_transform=reshape(task.place, shape),
    )

    def tensor(picture: np.ndarray) -> np.ndarray:
        fitted = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        return ((fitted.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)

    def draw(picture: np.ndarray, heat: np.ndarray, path: Path) -> None:
        enlarged = cv2.resize(heat, picture.shape[1::-1])
        drawn = show_cam_on_image(picture.astype(np.float32) / 255, enlarged, use_rgb=True)
        cv2.imwrite(str(path), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))

    def run() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            for first in range(0, len(task.pictures), task.batch):
                group = task.pictures[first : first + task.batch]
                pictures = [cv2.cvtColor(cv2.imread(p), cv2.COLOR_BGR2RGB) for p in group]
                x = torch.from_numpy(np.stack([tensor(picture) for picture in pictures]))
                x = x.to(task.device)
                targets = [ClassifierOutputTarget(task.classes[0])] * len(group)
                maps = cam(input_tensor=x, targets=targets)
                if task.written:
                    for number, (picture, heat) in enumerate(
                        zip(pictures, maps, strict=True), first
                    ):
                        draw(picture, heat, Path(folder) / f"{number}.{task.written}")
        return maps[-1]

    return run
