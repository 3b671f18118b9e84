"""What is measured: tables of rows, each a task and those who do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.environments import Environments
from bench.measure import Measured, from_nothing, in_turns
from bench.pictures import jpegs
from bench.task import Task

Measure = Callable[[Environments, Task, tuple[str, ...], float], dict[str, Measured]]


@dataclass(frozen=True)
class Row:
    """A task and who does it, by names in `environments.CONTESTANTS`.

    `classes` is how many are explained; `side`, of tasks that read JPEG files, their longer side.
    """

    title: str
    network: str
    names: tuple[str, ...]
    method: str = "gradcam"
    layers: tuple[str, ...] = ("last",)
    classes: int = 1
    batch: int = 1
    written: str = ""
    side: int | None = None

    def task(self, work: Path, threads: int, device: str) -> Task:
        network = work / "networks" / self.network
        return Task(
            network,
            self.method,
            self.layers,
            Task.best(network)[: self.classes],
            self.batch,
            threads,
            device,
            jpegs(work / "pictures", self.side) if self.side else (),
            self.written,
        )


@dataclass(frozen=True)
class Table:
    """Rows that are shown together. `measure` is how; `unit` is what the page tells of it."""

    name: str
    title: str
    text: str
    rows: tuple[Row, ...]
    unit: str = "ratio"
    measure: Measure = field(default=in_turns)


CNNS = {
    "resnet50": "ResNet-50",
    "mobilenet_v3_large": "MobileNetV3-Large",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "densenet121": "DenseNet-121",
    "vgg16": "VGG-16",
    "convnext_tiny": "ConvNeXt-Tiny",
}
TRANSFORMERS = {"vit_tiny": "ViT-Tiny/16", "vit_base": "ViT-B/16", "swin_t": "Swin-T"}
VOLUMES = {"volumes": "3-D net, 144x168x152"}
ALL = CNNS | TRANSFORMERS | VOLUMES
BATCH = 16
SOME = ("resnet50", "mobilenet_v3_large", "vit_tiny")
"""The networks that are batched where a batch shows little else than in the first tables."""

GRADIENT = ("prediction", "own", "pytorch_grad_cam", "torchcam", "captum", "onnx2torch")
BEFORE = ("prediction", "rewritten", "explainer")
TWO = ("prediction", "own", "pytorch_grad_cam")


def _everywhere(
    names: tuple[str, ...], batched: Iterable[str] = tuple(CNNS | TRANSFORMERS), **what: Any
) -> tuple[Row, ...]:
    """Every network with one picture, and those `batched` with a batch of them."""
    return tuple(
        Row(ALL[network], network, names, batch=batch, **what)
        for batch, networks in ((1, ALL), (BATCH, batched))
        for network in networks
    )


def _growing(rows: Iterable[tuple[object, dict[str, Any]]]) -> tuple[Row, ...]:
    """ResNet-50, with one thing after the other made larger."""
    return tuple(
        Row(str(title), **{"network": "resnet50", "names": TWO} | what) for title, what in rows
    )


STAGES = tuple(f"stage {number}" for number in (4, 3, 2, 1))
METHODS = {
    "gradcam++": "Grad-CAM++",
    "gradcam-elementwise": "Grad-CAM elementwise",
    "hirescam": "HiResCAM",
    "xgradcam": "XGrad-CAM",
    "layercam": "LayerCAM",
    "eigencam": "Eigen-CAM",
    "eigengradcam": "Eigen-Grad-CAM",
    "kpcacam": "KPCA-CAM",
    "fem": "FEM",
    "shapleycam": "Shapley-CAM",
}

TABLES = (
    Table(
        "price",
        "What Grad-CAM costs",
        "One class, at the layer that onnxcam chooses; nobody else takes part, so there are more "
        "rounds.",
        _everywhere(("prediction", "own"), layers=()),
    ),
    Table("last", "Grad-CAM, last layer", "One class.", _everywhere(GRADIENT)),
    Table(
        "middle",
        "Grad-CAM, a layer in the middle",
        "One class; the gradient passes half of the network.",
        _everywhere(GRADIENT, SOME, layers=("middle",)),
    ),
    Table(
        "five",
        "Grad-CAM, five classes",
        "The last layer. onnxcam explains them in one run; pytorch-grad-cam takes every picture "
        "five times, torchcam keeps its graph for five backward passes, Captum is called as often.",
        _everywhere(GRADIENT, SOME, classes=5),
    ),
    Table(
        "gradient",
        "The gradient to the image",
        "Of one class's logit, all the way through. Differences above 1e-5 are ReLUs and maxima "
        "within rounding of going the other way, which in some library they do.",
        _everywhere(("prediction", "own", "captum", "onnx_ad"), SOME, method="gradient"),
    ),
    Table(
        "scorecam",
        "Score-CAM and Ablation-CAM",
        "A picture. As many forward passes as the layer has channels, in batches of 32: of the "
        "whole network, or of what is behind the layer.",
        tuple(
            Row(f"{CNNS[network]}, {title}", network, names, method)
            for network, method, title, names in (
                ("mobilenet_v3_large", "scorecam", "Score-CAM", (*TWO[1:], "torchcam")),
                ("mobilenet_v3_large", "ablationcam", "Ablation-CAM", TWO[1:]),
                ("resnet50", "scorecam", "Score-CAM", TWO[1:]),
            )
        ),
        unit="seconds",
    ),
    Table(
        "reciprocam",
        "Recipro-CAM",
        "A picture; OpenVINO XAI explains all classes at once, and rounds its map to 8 bits.",
        tuple(
            Row(ALL[network], network, ("own", "openvino_xai"), method)
            for network, method in (
                ("mobilenet_v3_large", "reciprocam"),
                ("resnet50", "reciprocam"),
                ("efficientnet_lite0", "reciprocam"),
                ("vgg16", "reciprocam"),
                ("vit_tiny", "vitreciprocam"),
                ("vit_base", "vitreciprocam"),
            )
        ),
        unit="seconds",
    ),
    Table(
        "methods",
        "Other methods",
        "The last layer, one class. FEM's formula and the sign of Eigen-CAM's component are not "
        "pytorch-grad-cam's on purpose ([why](docs/methods.md)).",
        tuple(
            Row(f"{CNNS[network]}, {title}", network, TWO, method)
            for network in ("resnet50", "mobilenet_v3_large")
            for method, title in METHODS.items()
        ),
    ),
    Table(
        "classes",
        "As the number of classes grows",
        "ResNet-50, last layer.",
        _growing((k, {"classes": k}) for k in (1, 2, 5, 10, 20, 50)),
    ),
    Table(
        "layers",
        "As the number of layers grows",
        "ResNet-50; the maps of its last one, two, three and four stages, averaged.",
        _growing((k, {"layers": STAGES[:k]}) for k in (1, 2, 3, 4)),
    ),
    Table(
        "distance",
        "As the layer moves away from the output",
        "ResNet-50, from its fourth stage to its first.",
        _growing((stage, {"layers": (stage,)}) for stage in STAGES),
    ),
    Table(
        "batch",
        "As the batch grows",
        "ResNet-50, last layer.",
        _growing((f"batch {k}", {"batch": k}) for k in (1, 2, 4, 8, 16, 32)),
    ),
    Table(
        "resolution",
        "As the picture grows",
        "ResNet-50, last layer.",
        _growing(
            (f"{side}x{side}", {"network": "resnet50" if side == 224 else f"resnet50_{side}"})
            for side in (112, 224, 336, 448, 672)
        ),
    ),
    Table(
        "depth",
        "As the network gets deeper",
        "ResNets, last layer.",
        _growing((f"ResNet-{k}", {"network": f"resnet{k}"}) for k in (18, 34, 50, 101, 152)),
    ),
    Table(
        "start",
        "From nothing to a heatmap",
        "A new process imports its library, loads the network, explains one input, and ends.",
        tuple(
            Row(f"{CNNS[network]}, {title}", network, names, method)
            for network in ("mobilenet_v3_large", "resnet50")
            for method, title, names in (
                ("gradcam", "Grad-CAM", (*BEFORE, *GRADIENT[2:])),
                ("gradient", "gradient", ("prediction", "own", "captum", "onnx_ad")),
                ("reciprocam", "Recipro-CAM", ("prediction", "explainer", "openvino_xai")),
            )
        ),
        unit="start",
        measure=from_nothing,
    ),
    Table(
        "command",
        "The command line from a cold start",
        "`onnxcam explain` of a JPEG file to an overlay, beside a script that reads the file, runs "
        "the bare model with ONNX Runtime and prints the best class.",
        tuple(
            Row(CNNS[network], network, ("script", "command"), side=1024)
            for network in ("efficientnet_lite0", "mobilenet_v3_large", "resnet50")
        ),
        unit="start",
        measure=from_nothing,
    ),
    Table(
        "memory",
        "Peak memory",
        "Of such a process for Grad-CAM, at batch 1 and 16.",
        tuple(
            Row(ALL[network], network, (*BEFORE, "pytorch_grad_cam"), batch=batch)
            for network, batch in (
                ("mobilenet_v3_large", 1),
                ("resnet50", 1),
                ("vgg16", 1),
                ("vit_base", 1),
                ("volumes", 1),
                ("mobilenet_v3_large", BATCH),
                ("resnet50", BATCH),
            )
        ),
        unit="memory",
        measure=from_nothing,
    ),
    Table(
        "pictures",
        "Pictures a second, from JPEG files",
        "1024 pixels on the longer side, to raw maps or to overlays on disk; beside reading and "
        "predicting with the same threads. pytorch-grad-cam in batches of 16, as its guides do it.",
        tuple(
            Row(
                f"{CNNS[network]}, {f'overlays as {written.upper()}' if written else 'maps'}",
                network,
                ("pictures.prediction", "pictures.own", "pictures.pytorch_grad_cam"),
                batch=BATCH,
                written=written,
                side=1024,
            )
            for network in ("mobilenet_v3_large", "efficientnet_lite0", "resnet50")
            for written in ("", "jpg", "png")
        ),
        unit="pictures",
    ),
)
