"""What the gradient with respect to the image costs, beside PyTorch's own and onnx-ad's.

Everything is told as a multiple of the bare ONNX Runtime forward pass of the same network: the
model with onnxcam's gradient appended, the one that onnx-ad makes, and PyTorch's forward and
backward pass to the image (weights need no gradient). All of them live in one process and take
turns; a pause in front of each block lets the others' worker threads, which spin for a while
after a run, fall asleep. The networks have random weights, the image is one of 224x224.

Environment: pip install -e '.[cpu]' torch torchvision timm onnxscript onnx-ad==0.3.0
Run from the repository root: python scripts/input_price.py [NAME ...]
"""

from __future__ import annotations

import os
import statistics
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ad
import onnxruntime as ort
import timm
import torch
import torchvision
from exporting import export
from timing import block, session

import onnxcam
from onnxcam.gradients import append_gradients

NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "resnet50": torchvision.models.resnet50,
    "mobilenet_v3_large": torchvision.models.mobilenet_v3_large,
    "efficientnet_b0": torchvision.models.efficientnet_b0,
    "convnext_tiny": torchvision.models.convnext_tiny,
    "vit_tiny_patch16": lambda: timm.create_model("vit_tiny_patch16_224"),
}
THREADS, PAUSE = 2, 1.0
ROUNDS, RUNS_A_BLOCK = 12, 7

Run = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Contender:
    """Something that is timed: `run` gives the logits (bare) or the image's gradient."""

    name: str
    run: Run


def with_batch_of_one(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with one image a run, the only form that onnx-ad takes."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del fixed.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(fixed)


def bare(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> Run:
    forward = session(model, THREADS)
    return lambda: forward.run(["logits"], feeds)[0]


def by_onnxcam(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> Run:
    differentiated = session(
        append_gradients(model, of="logits", wrt=["image"], seed=True), THREADS
    )
    seeded = {**feeds, "logits_seed": one_hot()}
    return lambda: differentiated.run(["image_grad"], seeded)[0]


def by_onnx_ad(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> Run:
    """onnx-ad puts the number of seeds behind the tensor's own axes: it is 1."""
    adjoint = onnx_ad.reverse(with_batch_of_one(model), layout="onnx")
    for value in (*adjoint.graph.input, *adjoint.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == "nadj":
                dim.dim_value = 1
    differentiated = session(adjoint, THREADS)
    seeded = {**feeds, "adj_logits": one_hot()[..., None]}
    return lambda: differentiated.run(["adj_image"], seeded)[0][..., 0]


def by_torch(network: torch.nn.Module, image: torch.Tensor) -> Run:
    image = image.clone().requires_grad_()
    seed = torch.from_numpy(one_hot())
    return lambda: torch.autograd.grad(network(image), image, seed)[0].numpy()


def one_hot() -> np.ndarray:
    """The seed: the logit of one class."""
    return np.eye(1, 1000, 281, dtype=np.float32)


def price(name: str) -> str:
    """One line of the table."""
    torch.manual_seed(0)
    network = NETWORKS[name]().eval().requires_grad_(False)
    image = torch.randn(1, 3, 224, 224)
    model = export(network, image)
    feeds = {"image": image.numpy()}
    contenders = [
        Contender("bare", bare(model, feeds)),
        Contender("onnxcam", by_onnxcam(model, feeds)),
        Contender("torch", by_torch(network, image)),
        Contender("onnx-ad", by_onnx_ad(model, feeds)),
    ]
    for one in contenders:
        one.run()
    rounds: dict[str, list[float]] = {one.name: [] for one in contenders}
    for number in range(ROUNDS):
        order = contenders if number % 2 else contenders[::-1]
        for one in order:
            rounds[one.name].append(block(one.run, RUNS_A_BLOCK, PAUSE))
    ratios = {
        one.name: statistics.median(
            mine / plain for mine, plain in zip(rounds[one.name], rounds["bare"], strict=True)
        )
        for one in contenders[1:]
    }
    by_name = {one.name: one.run() for one in contenders[1:]}
    scale = np.abs(by_name["torch"]).max()
    error = np.abs(by_name["onnxcam"] - by_name["torch"]).max() / scale
    milliseconds = statistics.median(rounds["bare"]) * 1e3
    cells = "".join(f" {ratios[one.name]:.2f} |" for one in contenders[1:])
    return f"| {name} | {milliseconds:.1f} |{cells} {error:.0e} |"


def main(names: list[str]) -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(THREADS)
    print(
        f"onnxruntime {ort.__version__}, onnxcam {onnxcam.__version__}, torch {torch.__version__}, "
        f"onnx-ad {onnx_ad.__version__}; {THREADS} threads, load {os.getloadavg()[0]:.1f}\n\n"
        f"| network | forward, ms | onnxcam | torch | onnx-ad | difference from torch |\n"
        f"|---|---|---|---|---|---|"
    )
    for name in names:
        print(price(name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(NETWORKS))
