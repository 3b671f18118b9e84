"""What the searching methods cost, beside pytorch-grad-cam and OpenVINO XAI.

Seconds an explanation of one 224x224 image for one class, same weights (random), same layer, two
threads. pytorch-grad-cam 1.5.7 runs Score-CAM and Ablation-CAM in batches of 32 in this process,
on the PyTorch module; OpenVINO XAI runs Recipro-CAM in a process of its own, with the Python that
is given (its dependencies exclude the others'). The two take turns, round by round; the first
round only loads what is needed. Pauses let worker threads, which spin for a while after a run,
fall asleep. A whole table takes about half an hour, most of it Score-CAM's.

Environment: pip install -e '.[cpu]' torch torchvision onnxscript grad-cam==1.5.7
    and, in another one: pip install openvino==2024.4 openvino-xai==1.1
Run from the repository root:
    python scripts/search_price.py [NETWORK ...] [--method NAME ...] [--rounds N]
        [--openvino PYTHON]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from references import torchvision_import  # noqa: F401  before pytorch-grad-cam, which needs it

# isort: split
import pytorch_grad_cam
import torchvision
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import onnxcam

THREADS, BATCH, PAUSE = 2, 32, 0.4
CLASS = 281
OPENVINO = Path(__file__).with_name("search_price_openvino.py")

Run = Callable[[], object]


@dataclass(frozen=True)
class Network:
    """A network, and the module whose output is the last feature map."""

    build: Callable[[], torch.nn.Module]
    layer: Callable[[torch.nn.Module], torch.nn.Module]


NETWORKS = {
    "mobilenet_v3_large": Network(torchvision.models.mobilenet_v3_large, lambda m: m.features[-1]),
    "resnet50": Network(torchvision.models.resnet50, lambda m: m.layer4[-1]),
}
METHODS = ("reciprocam", "ablationcam", "scorecam")
COUNTERPARTS = {"scorecam": "ScoreCAM", "ablationcam": "AblationCAM"}


def export(module: torch.nn.Module, image: torch.Tensor) -> onnx.ModelProto:
    """The network as it is usually exported: any batch."""
    program = torch.onnx.export(
        module,
        (torch.cat([image, image]),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["image"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def ours(model: onnx.ModelProto, method: str, image: np.ndarray) -> Run:
    explainer = onnxcam.Explainer(model, method)
    return lambda: explainer.run(image, target=CLASS)


def of_library(network: Network, module: torch.nn.Module, method: str, image: torch.Tensor) -> Run:
    cam = getattr(pytorch_grad_cam, COUNTERPARTS[method])(module, [network.layer(module)])
    cam.batch_size = BATCH
    targets = [ClassifierOutputTarget(CLASS)]
    return lambda: cam(input_tensor=image, targets=targets)


def seconds(run: Run) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def of_openvino(python: str, file: Path, image: np.ndarray, rounds: int) -> float:
    """Median seconds of OpenVINO XAI's Recipro-CAM, which explains all classes at once."""
    np.save(file.with_suffix(".npy"), image)
    words = [python, str(OPENVINO), str(file), str(rounds), str(THREADS)]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    return statistics.median(json.loads(found.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=[])
    parser.add_argument("--method", action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--openvino", metavar="PYTHON")
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    print(f"onnxruntime {ort.__version__}, torch {torch.__version__}, {THREADS} threads")
    print("\n| network | method | onnxcam s | the other s | times faster |\n|---|---|---|---|---|")
    for name in asked.networks or NETWORKS:
        network = NETWORKS[name]
        torch.manual_seed(0)
        module = network.build().eval()
        image = torch.randn(1, 3, 224, 224)
        model = export(module, image)
        for method in asked.method or METHODS:
            own = ours(model, method, image.numpy())
            runs = [own]
            if method in COUNTERPARTS:
                runs.append(of_library(network, module, method, image))
            spent = [[seconds(run) for run in runs] for _ in range(asked.rounds + 1)][1:]
            first, *other = (statistics.median(column) for column in zip(*spent, strict=True))
            if method == "reciprocam" and asked.openvino:
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "model.onnx"
                    onnx.save(model, file)
                    other = [of_openvino(asked.openvino, file, image.numpy(), asked.rounds)]
            compared = f"{other[0]:.3f} | {other[0] / first:.1f}" if other else "- | -"
            print(f"| {name} | {method} | {first:.3f} | {compared} |", flush=True)


if __name__ == "__main__":
    main()
