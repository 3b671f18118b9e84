"""What the searching methods cost, beside pytorch-grad-cam and OpenVINO XAI.

Seconds an explanation of one 224x224 image for one class, same weights (random), same layer, two
threads. pytorch-grad-cam 1.5.7 runs Score-CAM and Ablation-CAM in batches of 32 in this process,
on the PyTorch module; OpenVINO XAI runs Recipro-CAM in a process of its own, with the Python that
is given (its dependencies exclude the others'), in float32: by itself OpenVINO rounds to bfloat16
where the processor has it. The first run only loads what is needed, then the two take turns, round
by round; but what takes longer than ten seconds runs just once. Pauses let worker threads, which
spin for a while after a run, fall asleep.

Environment: pip install -e '.[cpu]' torch torchvision timm onnxscript grad-cam==1.5.7
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
import timm
import torchvision
from exporting import export
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timing import Run

import onnxcam

THREADS, BATCH, PAUSE = 2, 32, 0.4
LONG = 10.0
"""Seconds from which a run is not repeated."""

CLASS = 281
OPENVINO = Path(__file__).with_name("search_price_openvino.py")


@dataclass(frozen=True)
class Network:
    """A network, the methods to compare, and the module whose output is the last feature map."""

    build: Callable[[], torch.nn.Module]
    methods: tuple[str, ...]
    layer: Callable[[torch.nn.Module], torch.nn.Module] | None = None


METHODS = ("reciprocam", "ablationcam", "scorecam")
NETWORKS = {
    "mobilenet_v3_large": Network(
        torchvision.models.mobilenet_v3_large, METHODS, lambda m: m.features[-1]
    ),
    "vit_tiny": Network(
        lambda: timm.create_model("vit_tiny_patch16_224"), ("reciprocam", "vitreciprocam")
    ),
    "resnet50": Network(torchvision.models.resnet50, METHODS, lambda m: m.layer4[-1]),
}
OF_OPENVINO = {
    ("mobilenet_v3_large", "reciprocam"): "ReciproCAM",
    ("resnet50", "reciprocam"): "ReciproCAM",
    ("vit_tiny", "vitreciprocam"): "ViTReciproCAM",
}
COUNTERPARTS = {"scorecam": "ScoreCAM", "ablationcam": "AblationCAM"}


def ours(model: onnx.ModelProto, method: str, image: np.ndarray) -> Run:
    explainer = onnxcam.Explainer(model, method)
    return lambda: explainer.run(image, target=CLASS)


def of_library(network: Network, module: torch.nn.Module, method: str, image: torch.Tensor) -> Run:
    assert network.layer is not None
    cam = getattr(pytorch_grad_cam, COUNTERPARTS[method])(module, [network.layer(module)])
    cam.batch_size = BATCH
    targets = [ClassifierOutputTarget(CLASS)]
    return lambda: cam(input_tensor=image, targets=targets)


def seconds(run: Run) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(runs: list[Run], rounds: int) -> list[float]:
    """Median seconds of each; of a long one, those of its only run."""
    spent = [[seconds(run)] for run in runs]
    short = [(run, times) for run, times in zip(runs, spent, strict=True) if times[0] < LONG]
    for _, times in short:
        times.clear()
    for _ in range(rounds):
        for run, times in short:
            times.append(seconds(run))
    return [statistics.median(times) for times in spent]


def of_openvino(python: str, name: str, file: Path, image: np.ndarray, rounds: int) -> float:
    """Median seconds of an OpenVINO XAI method, which explains all classes at once."""
    np.save(file.with_suffix(".npy"), image)
    words = [python, str(OPENVINO), name, str(file), str(rounds), str(THREADS)]
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
        for method in (m for m in network.methods if m in (asked.method or network.methods)):
            own = ours(model, method, image.numpy())
            runs = [own]
            if method in COUNTERPARTS:
                runs.append(of_library(network, module, method, image))
            first, *other = medians(runs, asked.rounds)
            openvino = OF_OPENVINO.get((name, method))
            if openvino and asked.openvino:
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "model.onnx"
                    onnx.save(model, file)
                    args = (openvino, file, image.numpy(), asked.rounds)
                    other = [of_openvino(asked.openvino, *args)]
            compared = f"{other[0]:.3f} | {other[0] / first:.1f}" if other else "- | -"
            print(f"| {name} | {method} | {first:.3f} | {compared} |", flush=True)


if __name__ == "__main__":
    main()
