"""Which methods of pytorch-grad-cam and torchcam are recorded, and where."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .cam_libraries import (
    GRAD_CAM,
    TORCHCAM,
    Ask,
    ablated_to_zero,
    ablationcam,
    finercam,
    raw_of,
    run_of,
    scaled_of,
    torchcam_raw,
)
from .method_maps import Recorded

PICTURES = 3


@dataclass(frozen=True)
class Job:
    """A method to record: how to ask for it, and what `Recorded` says of it."""

    method: str
    form: str
    ask: Ask
    library: str = GRAD_CAM
    parameters: dict[str, Any] = field(default_factory=dict)
    smooth: str | None = None
    pictures: int = PICTURES
    stride: int = 1

    def at(self, layers: Sequence[str]) -> Recorded:
        """The entry to be made, without how long it took and how far the map moves."""
        return Recorded(
            method=self.method,
            layers=list(layers),
            library=self.library,
            form=self.form,
            parameters=self.parameters,
            smooth=self.smooth,
            pictures=self.pictures,
            stride=self.stride,
        )


SECOND_ORDER = Job("shapleycam", "positive", run_of("ShapleyCAM"))
"""Not behind every layer: PyTorch has no second derivative of a hard sigmoid, and
pytorch-grad-cam's ShapleyCAM takes channels-first layers only."""
ONE_PASS = [
    Job("gradcam", "positive", raw_of("GradCAM")),
    Job("gradcam++", "positive", raw_of("GradCAMPlusPlus")),
    Job("gradcam-elementwise", "raw", raw_of("GradCAMElementWise")),
    Job("hirescam", "raw", raw_of("HiResCAM")),
    Job("xgradcam", "raw", raw_of("XGradCAM")),
    Job("layercam", "positive", raw_of("LayerCAM")),
    Job("eigencam", "up to sign", raw_of("EigenCAM")),
    Job("eigengradcam", "up to sign", raw_of("EigenGradCAM")),
    Job("segeigencam", "up to sign", raw_of("SegEigenCAM")),
    Job("kpcacam", "up to sign", raw_of("KPCA_CAM")),
    Job("fem", "raw", raw_of("FEM")),
    SECOND_ORDER,
    Job("finercam", "positive", finercam),
]
FIRST_ORDER = [job for job in ONE_PASS if job is not SECOND_ORDER]
FIRST_COMPONENT = [
    Job(method, "up to sign", raw_of(name, eigen_smooth=True), smooth="eigen")
    for method, name in (
        ("gradcam", "GradCAM"),
        ("gradcam++", "GradCAMPlusPlus"),
        ("hirescam", "HiResCAM"),
        ("layercam", "LayerCAM"),
    )
]
AUGMENTED = Job("gradcam", "raw", scaled_of("GradCAM", aug_smooth=True), smooth="augment", stride=8)
"""A mean of scaled maps, which is not scaled again."""
CLASSIFIER_ROWS = Job("cam", "raw", torchcam_raw("CAM"), TORCHCAM)
WEIGHTED_BY_GRADIENT = [
    Job("gradcam", "positive", torchcam_raw("GradCAM"), TORCHCAM),
    Job("xgradcam", "cut off", torchcam_raw("XGradCAM"), TORCHCAM),
    Job("layercam", "positive", torchcam_raw("LayerCAM"), TORCHCAM),
]
MASKED = Job("scorecam", "positive", raw_of("ScoreCAM"))
ABLATED = Job("ablationcam", "positive", ablationcam)
"""Behind a ReLU; elsewhere the library sets channels to -1e7 instead of zero."""
ABLATED_TO_ZERO = replace(ABLATED, ask=ablated_to_zero)
"""With a layer of our own in the library, which sets channels to zero everywhere."""
INTEGRATED = Job("iscam", "positive", torchcam_raw("ISCAM"), TORCHCAM, pictures=1)
INTEGRATED_COARSELY = Job(
    "iscam", "positive", torchcam_raw("ISCAM", num_samples=2), TORCHCAM, {"num_samples": 2}
)
SMOOTHED = Job(
    "sscam",
    "positive",
    torchcam_raw("SSCAM", num_samples=1),
    TORCHCAM,
    {"num_samples": 1, "std": 0.0},
)
"""Without its noise, which is all that is random in it."""
BIASES = Job("fullgrad", "scaled", scaled_of("FullGrad"), stride=8)
AVERAGED = [
    Job("gradcam", "scaled", scaled_of("GradCAM"), stride=8),
    Job("layercam", "scaled", scaled_of("LayerCAM"), stride=8),
]
"""Of several layers, the mean of whose scaled maps is scaled again."""
REFINED = Job("refinecam", "scaled", scaled_of("RefineCAM"), stride=8)


@dataclass(frozen=True)
class Plan:
    """What is recorded at one layer or several of a network."""

    layers: Sequence[str]
    axes: str
    jobs: Sequence[Job]


@dataclass(frozen=True)
class Study:
    """What is recorded of a network with the same pictures.

    `pictures` names the pictures to draw where they are not like those that the network's
    Grad-CAM was recorded for, and `side` is their height and width.
    """

    network: str
    plans: Sequence[Plan]
    pictures: str | None = None
    side: int | None = None


def _thinned(jobs: Sequence[Job], stride: int) -> list[Job]:
    return [replace(job, stride=stride) for job in jobs]


STUDIES: dict[str, Study] = {
    "torch_resnet50": Study(
        "torch_resnet50",
        [
            Plan(["layer4.2"], "NCHW", [*ONE_PASS, CLASSIFIER_ROWS]),
            Plan(["layer4.2"], "NCHW", [*FIRST_COMPONENT, *WEIGHTED_BY_GRADIENT, AUGMENTED]),
            Plan(["layer2.3"], "NCHW", ONE_PASS),
            Plan(["layer2.3", "layer4.2"], "NCHW", [*AVERAGED, REFINED]),
        ],
    ),
    # Small pictures: fewer values lie around a ReLU's zero, so that maps of early layers hold
    # still, and methods of many runs end within minutes. These three leave a zero in every
    # layer for each picture, which makes Ablation-CAM's zero the library's as well.
    "torch_resnet50_small": Study(
        "torch_resnet50",
        [
            Plan([], "NCHW", _thinned([BIASES], 4)),
            Plan(["layer2.3"], "NCHW", [*ONE_PASS, *WEIGHTED_BY_GRADIENT]),
            Plan(["layer2.3", "layer4.2"], "NCHW", _thinned([*AVERAGED, REFINED], 4)),
            Plan(["layer1.2"], "NCHW", [MASKED, SMOOTHED, INTEGRATED_COARSELY, ABLATED]),
            Plan(["layer4.2"], "NCHW", [ABLATED, MASKED]),
        ],
        pictures="torch_resnet50 small 133",
        side=64,
    ),
    "torch_mobilenet_v3_large": Study(
        "torch_mobilenet_v3_large",
        [
            Plan(["features.16"], "NCHW", ONE_PASS),
            Plan(["features.16"], "NCHW", [*FIRST_COMPONENT, *WEIGHTED_BY_GRADIENT, AUGMENTED]),
            Plan(["features.9"], "NCHW", FIRST_ORDER),
            Plan(["features.4"], "NCHW", [MASKED, ABLATED_TO_ZERO, INTEGRATED_COARSELY, SMOOTHED]),
            Plan(["features.9", "features.16"], "NCHW", [*AVERAGED, REFINED]),
            Plan([], "NCHW", [BIASES]),
        ],
    ),
    "timm_vit_tiny": Study(
        "timm_vit_tiny",
        [
            Plan(["blocks.11.norm1"], "NTC", [*FIRST_ORDER, replace(MASKED, pictures=1)]),
            Plan(["blocks.11.norm1"], "NTC", [*FIRST_COMPONENT, AUGMENTED, ABLATED_TO_ZERO]),
            Plan(["blocks.6.norm1"], "NTC", FIRST_ORDER),
            Plan(["blocks.6.norm1", "blocks.11.norm1"], "NTC", [*AVERAGED, REFINED]),
        ],
    ),
    "timm_swin_tiny": Study(
        "timm_swin_tiny",
        [
            Plan(["layers.3.blocks.1.norm1"], "NHWC", [*FIRST_ORDER, *FIRST_COMPONENT, AUGMENTED]),
            Plan(["layers.2.blocks.1.norm1"], "NHWC", FIRST_ORDER),
            Plan(["layers.0.blocks.1.norm1"], "NHWC", [MASKED, ABLATED_TO_ZERO]),
            Plan(
                ["layers.2.blocks.1.norm1", "layers.3.blocks.1.norm1"],
                "NHWC",
                [*AVERAGED, REFINED],
            ),
        ],
    ),
    "torch_shapes": Study(
        "torch_shapes",
        [
            Plan(
                ["8"],
                "NCHW",
                [*ONE_PASS, CLASSIFIER_ROWS, MASKED, ABLATED, INTEGRATED, SMOOTHED],
            ),
            Plan(["8"], "NCHW", [*FIRST_COMPONENT, *WEIGHTED_BY_GRADIENT, AUGMENTED]),
            Plan(["4"], "NCHW", [*ONE_PASS, MASKED, ABLATED]),
            Plan(["4", "8"], "NCHW", [*AVERAGED, REFINED]),
            Plan([], "NCHW", [BIASES]),
        ],
    ),
}
"""By the name of the folder that holds the recording."""
