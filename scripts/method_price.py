"""What every method that lives in the graph costs, beside pytorch-grad-cam's own.

Everything is told as a multiple of the bare ONNX Runtime forward pass of the same network at batch
1: the rewritten model with one target and with five, and pytorch-grad-cam 1.5.7's call on the
PyTorch module, at the same layer. They live in one process and take turns; a pause in front of
each block lets the others' worker threads, which spin for a while after a run, fall asleep. The
networks have random weights, the image is one of 224x224.

Environment: pip install -e '.[cpu]' torch torchvision timm onnxscript grad-cam==1.5.7
Run from the repository root: python scripts/method_price.py [NETWORK ...] [--method NAME ...]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import pytorch_grad_cam
import torch
import torchvision
from exporting import export
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timing import Run, block, session

import onnxcam
from onnxcam.methods import methods

THREADS, PAUSE = 2, 0.4
ROUNDS, RUNS_A_BLOCK = 5, 5
SEVERAL = 5


@dataclass(frozen=True)
class Network:
    """A network, and the module whose output is the last feature map."""

    build: Callable[[], torch.nn.Module]
    layer: Callable[[torch.nn.Module], torch.nn.Module]


NETWORKS = {
    "resnet50": Network(torchvision.models.resnet50, lambda m: m.layer4[-1]),
    "mobilenet_v3_large": Network(torchvision.models.mobilenet_v3_large, lambda m: m.features[-1]),
}

COUNTERPARTS = {
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
    "fullgrad": "FullGrad",
    "shapleycam": "ShapleyCAM",
    "finercam": "FinerCAM",
    "random": "RandomCAM",
}
"""pytorch-grad-cam's class for each of our names."""


def running(loaded: ort.InferenceSession, image: np.ndarray) -> Run:
    return lambda: loaded.run(None, {"image": image})


def rewritten(model: onnx.ModelProto, method: str, top: int, image: np.ndarray) -> Run:
    return running(session(onnxcam.rewrite(model, method=method, top=top), THREADS), image)


def by_library(network: Network, module: torch.nn.Module, method: str, image: torch.Tensor) -> Run:
    cam = getattr(pytorch_grad_cam, COUNTERPARTS[method])(module, [network.layer(module)])
    targets = [ClassifierOutputTarget(281)]
    return lambda: cam(input_tensor=image, targets=targets)


def taking_turns(runs: list[Run]) -> list[float]:
    """Median seconds of each, the order turned round every time."""
    rounds = []
    for number in range(ROUNDS):
        order = list(range(len(runs)))[:: -1 if number % 2 else 1]
        found = {k: block(runs[k], RUNS_A_BLOCK, PAUSE) for k in order}
        rounds.append([found[k] for k in range(len(runs))])
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=[])
    parser.add_argument("--method", action="append")
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    print(f"onnxruntime {ort.__version__}, torch {torch.__version__}, {THREADS} threads")
    for name in asked.networks or NETWORKS:
        network = NETWORKS[name]
        torch.manual_seed(0)
        module = network.build().eval()
        image = torch.randn(1, 3, 224, 224)
        model = export(module, image)
        bare = running(session(model, THREADS), image.numpy())
        print(f"\n{name}\n\n| method | one target | five | five / one | pytorch-grad-cam |")
        print("|---|---|---|---|---|")
        for method in asked.method or [m.name for m in methods() if m.bakes]:
            runs = [bare]
            try:
                runs += [rewritten(model, method, k, image.numpy()) for k in (1, SEVERAL)]
            except onnxcam.OnnxCamError as error:
                print(f"| {method} | {error} | | | |", flush=True)
                continue
            if method in COUNTERPARTS:
                runs.append(by_library(network, module, method, image))
            plain, one, five, *theirs = taking_turns(runs)
            library = f"{theirs[0] / plain:.2f}" if theirs else ""
            print(
                f"| {method} | {one / plain:.3f} | {five / plain:.3f} | {five / one:.3f} "
                f"| {library} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
