"""The Paddle networks: paddle.vision.models, and the one in models/ whose weights can be had.

models/text_direction.onnx is not among them: Paddle cannot differentiate a file of another format.
"""

from collections.abc import Callable

import paddle
from paddle import nn

from .inputs import Cuts
from .paddle_source import PaddleSource, drawn
from .shapes_weights import read_shapes

Build = Callable[[], PaddleSource]


def environment() -> dict[str, str]:
    """The versions that derive the values."""
    return {"paddle": paddle.__version__}


def resnet18() -> PaddleSource:
    """paddle.vision.models.resnet18, at the opset paddle.onnx.export takes unasked."""
    network = paddle.vision.models.resnet18(pretrained=False)
    return drawn("paddle_resnet18", network, ("layer1", "layer2.1", "layer4"), opset=9)


def mobilenet_v2() -> PaddleSource:
    """paddle.vision.models.mobilenet_v2, at the opset Paddle's own model libraries ask for."""
    network = paddle.vision.models.mobilenet_v2(pretrained=False)
    layers = ("features.3", "features.10", "features.18")
    return drawn("paddle_mobilenet_v2", network, layers, opset=11)


def shapes() -> PaddleSource:
    """models/shapes_paddle.onnx in Paddle."""
    path = "models/shapes_paddle.onnx"
    weights = read_shapes(path)
    parts: list[nn.Layer] = []
    for block in weights.blocks:
        channels, width = block.kernel.shape[:2]
        convolution = nn.Conv2D(width, channels, 3, block.stride, padding=1)
        convolution.weight.set_value(block.kernel)
        convolution.bias.set_value(block.bias)
        pool = nn.MaxPool2D(block.pool) if block.pool > 1 else nn.Identity()
        parts += [nn.Sequential(convolution, nn.ReLU()), pool]
    head = nn.Linear(*weights.dense.shape)
    head.weight.set_value(weights.dense)
    head.bias.set_value(weights.dense_bias)
    network = nn.Sequential(*parts, nn.AdaptiveAvgPool2D(1), nn.Flatten(), head)
    return PaddleSource(
        network,
        [str(2 * block) for block in weights.watched],
        Cuts("models/images/chelsea.png", (2, 3, 96, 96), "NCHW", 0.0, 1.0, top=28),
        opset=11,
        published=path,
        answer=nn.functional.softmax,
    )


NETWORKS: dict[str, Build] = {
    "paddle_resnet18": resnet18,
    "paddle_mobilenet_v2": mobilenet_v2,
    "paddle_shapes": shapes,
}
