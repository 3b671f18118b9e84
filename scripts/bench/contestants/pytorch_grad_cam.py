"""pytorch-grad-cam, on the module that the file was exported from."""

from __future__ import annotations

import numpy as np
import torch

from bench.contestants.torch_module import image, module, output_of, reshape
from bench.task import Place, Run, Task

# isort: split
import pytorch_grad_cam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

CLASSES = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "gradcam-elementwise": "GradCAMElementWise",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "kpcacam": "KPCA_CAM",
    "fem": "FEM",
    "shapleycam": "ShapleyCAM",
    "scorecam": "ScoreCAM",
    "ablationcam": "AblationCAM",
}
"""Its class for each of our names."""

SEARCH_BATCH = 32
"""Images a forward pass of Score-CAM and Ablation-CAM."""


def enter(task: Task) -> Run:
    return on(module(task), task, task.places)


def on(network: torch.nn.Module, task: Task, places: list[Place]) -> Run:
    """Its call, for one class; for several the batch with every image repeated."""
    x = image(task)
    shape = output_of(network, places[0].module, x[:1]).shape
    layers = [network.get_submodule(place.module) for place in places]
    arguments = {"reshape_transform": reshape(places[0], shape)}
    cam = getattr(pytorch_grad_cam, CLASSES[task.method])(network, layers, **arguments)
    cam.batch_size = SEARCH_BATCH
    repeated = x.repeat_interleave(len(task.classes), 0)
    targets = [ClassifierOutputTarget(one) for one in task.classes] * task.batch

    def run() -> np.ndarray:
        return cam(input_tensor=repeated, targets=targets)[0]

    return run
