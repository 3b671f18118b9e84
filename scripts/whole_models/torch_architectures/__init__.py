"""Networks written here, for shapes of network that torchvision and timm do not have.

Each follows the paper its file names, but for width and depth, which are small.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from .crnn import TextRecogniser
from .detr import TransformerDetector
from .ssd import BoxDetector
from .unet import CroppedUNet, PaddedUNet
from .unet_3d import VolumeUNet
from .yolo import GridDetector

WRITTEN: dict[str, Callable[[], nn.Module]] = {
    "yolo_v8": GridDetector,
    "detr": TransformerDetector,
    "ssd": BoxDetector,
    "unet_transposed": PaddedUNet,
    "unet_bilinear": CroppedUNet,
    "unet_3d": VolumeUNet,
    "crnn": TextRecogniser,
}
"""By the name of the architecture."""
