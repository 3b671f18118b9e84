"""Record what pytorch-grad-cam and torchcam say about four networks and a small one.

From scripts/: python -m references.record_methods [NETWORK ...]

Environment: that of `references.record torch`, with
pip install grad-cam==1.5.7 torchcam==0.5.0
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch.nn.attention import SDPBackend, sdpa_kernel

from .cam_libraries import (
    GRAD_CAM,
    TORCHCAM,
    Ask,
    Question,
    ablationcam,
    finercam,
    raw_of,
    run_of,
    scaled_of,
    torchcam_raw,
)
from .derivation import CONDITIONING, choose_classes, nudges
from .from_torch import NETWORKS, environment
from .inputs import Drawn, Input
from .method_maps import MethodMaps, Recorded, away, write_maps
from .rebuild import RECORDINGS, read
from .torch_source import TorchSource

PICTURES = 3

QUICK = 5.0
"""Seconds below which nudged pictures are asked about as well."""


@dataclass(frozen=True)
class Job:
    """A method to record: how to ask for it, and what `Recorded` says of it."""

    method: str
    form: str
    ask: Ask
    library: str = GRAD_CAM
    parameters: dict[str, Any] = field(default_factory=dict)
    pictures: int = PICTURES
    stride: int = 1


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
CLASSIFIER_ROWS = Job("cam", "raw", torchcam_raw("CAM"), TORCHCAM)
MASKED = Job("scorecam", "positive", raw_of("ScoreCAM"))
ABLATED = Job("ablationcam", "positive", ablationcam)
"""Behind a ReLU; elsewhere the library sets channels to -1e7 instead of zero."""
INTEGRATED = Job("iscam", "positive", torchcam_raw("ISCAM"), TORCHCAM, pictures=1)
SMOOTHED = Job(
    "sscam",
    "positive",
    torchcam_raw("SSCAM", num_samples=1),
    TORCHCAM,
    {"num_samples": 1, "std": 0.0},
    pictures=1,
)
"""Without its noise, which is all that is random in it."""
BIASES = Job("fullgrad", "scaled", scaled_of("FullGrad"), stride=2)
REFINED = Job("refinecam", "scaled", scaled_of("RefineCAM"), stride=8)


@dataclass(frozen=True)
class Plan:
    """What is recorded at one layer or several of a network."""

    layers: Sequence[str]
    axes: str
    jobs: Sequence[Job]


PLANS: dict[str, list[Plan]] = {
    "torch_resnet50": [
        Plan(["layer4.2"], "NCHW", [*ONE_PASS, CLASSIFIER_ROWS]),
        Plan(["layer2.3"], "NCHW", ONE_PASS),
        Plan(["layer2.3", "layer4.2"], "NCHW", [REFINED]),
    ],
    "torch_mobilenet_v3_large": [
        Plan(["features.16"], "NCHW", ONE_PASS),
        Plan(["features.9"], "NCHW", FIRST_ORDER),
        Plan(["features.4"], "NCHW", [MASKED]),
        Plan(["features.9", "features.16"], "NCHW", [REFINED]),
    ],
    "timm_vit_tiny": [
        Plan(["blocks.11.norm1"], "NTC", [*FIRST_ORDER, replace(MASKED, pictures=1)]),
        Plan(["blocks.6.norm1"], "NTC", FIRST_ORDER),
    ],
    "timm_swin_tiny": [
        Plan(["layers.3.blocks.1.norm1"], "NHWC", FIRST_ORDER),
        Plan(["layers.2.blocks.1.norm1"], "NHWC", FIRST_ORDER),
    ],
    "torch_shapes": [
        Plan(["8"], "NCHW", [*ONE_PASS, CLASSIFIER_ROWS, MASKED, ABLATED, INTEGRATED, SMOOTHED]),
        Plan(["4"], "NCHW", [*ONE_PASS, MASKED, ABLATED]),
        Plan(["4", "8"], "NCHW", [REFINED]),
        Plan([], "NCHW", [BIASES]),
    ],
}


def main() -> None:
    """Record the named networks, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="*", default=list(PLANS))
    for network in parser.parse_args().network:
        started = time.perf_counter()
        with sdpa_kernel(SDPBackend.MATH):  # the only one with a second derivative
            maps = record(network)
        write_maps(maps)
        size = (RECORDINGS / network / "methods.npz").stat().st_size
        left = ", ".join(f"{key} {value:.0e}" for key, value in maps.left_out.items())
        seconds = time.perf_counter() - started
        print(f"{network}: {len(maps.recorded)} maps, {size / 1000:.0f} kB, {seconds:.0f} s")
        print(f"  left out: {left or 'none'}", flush=True)


def record(network: str) -> MethodMaps:
    """Ask the libraries about one network."""
    source = NETWORKS[network]()
    assert isinstance(source, TorchSource)
    pictures = batch(network)
    x = pictures.values()
    classes = choose_classes(source, x)
    recorded: list[Recorded] = []
    left_out: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    for plan in PLANS[network]:
        asker = Asker(source, plan, x, classes)
        for job in plan.jobs:
            found, one = asker.measured(job)
            print(f"  {one.key}: drift {one.drift:.0e}, {one.seconds:.1f} s", flush=True)
            if one.drift > CONDITIONING:
                left_out[one.key] = one.drift
            else:
                recorded.append(one)
                arrays[one.key] = found
    versions = environment() | dict(said.split() for said in (GRAD_CAM, TORCHCAM))
    return MethodMaps(network, pictures, classes, versions, recorded, left_out, arrays)


def batch(network: str) -> Input:
    """Pictures like the ones the network's Grad-CAM was recorded for, but three of them."""
    own = read(network).input
    shape = (PICTURES, *own.shape[1:])
    if isinstance(own, Drawn):
        return Drawn(f"{network} methods", shape, own.axes)
    return replace(own, shape=shape)


@dataclass(frozen=True)
class Asker:
    """Asks the same in double precision, in float32, and of pictures off by a rounding error."""

    source: TorchSource
    plan: Plan
    x: np.ndarray
    classes: Sequence[int]

    @cached_property
    def _questions(self) -> dict[int, list[Question]]:
        return {}

    def questions(self, pictures: int) -> list[Question]:
        """The exact question and the others, about the first pictures."""
        if pictures not in self._questions:
            x = self.x[:pictures]
            nudged = [off[:pictures] for off in nudges(self.x)]
            self._questions[pictures] = [
                Question.of(
                    self.source.module, self.plan.layers, self.plan.axes, x, self.classes, dtype
                )
                for x, dtype in (
                    (x, "float64"),
                    (x, "float32"),
                    *((off, "float64") for off in nudged),
                )
            ]
        return self._questions[pictures]

    def measured(self, job: Job) -> tuple[np.ndarray, Recorded]:
        """A method's maps in double precision, and how much float32 and a nudge move them."""
        exact, *others = self.questions(job.pictures)
        wanted = answer(job, exact)
        started = time.perf_counter()
        moves = [moved(job.form, answer(job, others[0]), wanted)]
        seconds = time.perf_counter() - started
        if seconds < QUICK:
            moves += [moved(job.form, answer(job, other), wanted) for other in others[1:]]
        one = Recorded(
            method=job.method,
            layers=list(self.plan.layers),
            library=job.library,
            form=job.form,
            parameters=job.parameters,
            pictures=job.pictures,
            stride=job.stride,
            drift=float(f"{max(moves):.1e}"),
        )
        return wanted, replace(one, seconds=round(seconds, 1))


def answer(job: Job, question: Question) -> np.ndarray:
    """What a library says, thinned out as it is kept."""
    return job.ask(question)[:, :: job.stride, :: job.stride]


def moved(form: str, other: np.ndarray, exact: np.ndarray) -> float:
    """How far two maps of the library are apart."""
    return away(form, np.maximum(other, 0) if form == "positive" else other, exact)


if __name__ == "__main__":
    main()
