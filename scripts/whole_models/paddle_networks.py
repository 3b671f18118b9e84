"""The Paddle networks that are compared, and how each is exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from paddle import nn
from paddle.vision import models

from .paddle_architectures.lcnet import LCNet
from .paddle_architectures.res2net import Res2NetVd
from .paddle_architectures.svtr import SVTR

Shape = tuple[int, int, int, int]

FIXED: tuple[int, ...] = ()
BATCH = (0,)
PICTURE = (0, 2, 3)


@dataclass(frozen=True)
class Network:
    """An architecture with random weights, and the batch it is shown."""

    architecture: str
    build: Callable[[], nn.Layer]
    opset: int
    shape: Shape
    open: tuple[int, ...] = FIXED
    """The axes that the export leaves open."""
    lift: float = 0.0
    """By how many deviations the batch normalisations are raised, so that hardly any of the values
    a ReLU is shown lies within rounding of zero; some are still cut."""

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"paddle {self.architecture}"


def vision(
    architecture: str, opset: int, shape: Shape, open: tuple[int, ...] = FIXED, **options
) -> Network:
    """A classifier of paddle.vision.models."""
    build = partial(getattr(models, architecture), num_classes=20, **options)
    return Network(architecture, build, opset, shape, open)


def raised(network: Network) -> Network:
    """The same, but well conditioned."""
    return replace(network, architecture=f"{network.architecture}, raised", lift=2.5)


RESNEXT = vision("resnext50_32x4d", 13, (1, 3, 96, 96))
RES2NET = Network("Res2Net50_vd_26w_4s", Res2NetVd, 11, (1, 3, 96, 128), PICTURE)

NETWORKS = [
    vision("resnet18", 11, (2, 3, 96, 96), BATCH),
    RESNEXT,
    raised(RESNEXT),
    vision("mobilenet_v1", 11, (1, 3, 128, 96), PICTURE),
    vision("mobilenet_v2", 16, (1, 3, 128, 128), BATCH),
    vision("mobilenet_v3_small", 13, (2, 3, 128, 160), PICTURE),
    # Its pool to 7x7 is exported for maps of a multiple of that only.
    vision("vgg11", 11, (1, 3, 224, 224), batch_norm=True),
    vision("shufflenet_v2_x1_0", 16, (2, 3, 128, 128), BATCH),
    vision("squeezenet1_1", 13, (2, 3, 128, 96), PICTURE),
    # Its auxiliary heads fit maps of 11 to 13 only.
    vision("googlenet", 11, (1, 3, 192, 192)),
    vision("densenet121", 16, (1, 3, 96, 96), BATCH),
    vision("inception_v3", 13, (1, 3, 128, 128)),
    RES2NET,
    raised(RES2NET),
    Network("PP-LCNet_x1_0", LCNet, 16, (1, 3, 128, 128), PICTURE),
    Network("SVTR, opset 13", SVTR, 13, (2, 3, 32, 96), BATCH),
    Network("SVTR, opset 17", SVTR, 17, (2, 3, 32, 96), BATCH),
]
