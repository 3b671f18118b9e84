"""How a model is fed when nothing says so."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from builders import channels_last, classifier, conv_trunk, head
from graphs import Build, weights

from onnxcam.cards.keras import application
from onnxcam.graph.network import Network
from onnxcam.preprocess import PRESETS
from onnxcam.understanding import understand


def self_normalising(op: str) -> onnx.ModelProto:
    """Arithmetic on the picture in front of the first convolution."""
    b = Build((1, 3, 16, 16))
    b.weight("value", weights(1, 3, 1, 1))
    b.op("Identity", ["image"], "same")
    b.op(op, ["same", "value"], "normal")
    conv_trunk(b)
    b.nodes[2].input[0] = "normal"
    head(b)
    return b.model()


def quantised_input() -> onnx.ModelProto:
    b = Build(dtype=onnx.TensorProto.UINT8)
    b.op("Cast", ["image"], "float", to=1)
    conv_trunk(b)
    b.nodes[1].input[0] = "float"
    head(b)
    return b.model()


def from_keras(scope: str, producer: str = "tf2onnx") -> onnx.ModelProto:
    """A classifier, channels last, whose nodes lie in the scopes that Keras gives them."""
    model = channels_last()
    model.producer_name = producer
    for node in model.graph.node:
        node.name = f"{scope}/{node.output[0]}"
    return model


def of_shape(*shape: int) -> onnx.ModelProto:
    """A classifier of volumes or signals."""
    axes = len(shape) - 2
    b = Build(shape)
    b.conv("image", "conv", (8, shape[1], *[3] * axes), pads=[1] * 2 * axes)
    b.op("Relu", ["conv"], "features")
    head(b)
    return b.model()


@pytest.mark.parametrize(
    ("model", "preset", "why"),
    [
        (classifier, "imagenet", "channels first"),
        (channels_last, "tf", "channels last"),
        (lambda: classifier((1, 1, 16, 16), channels=1), "0-1", "one channel"),
        (lambda: classifier((1, 4, 16, 16), channels=4), "0-1", "4 channels"),
        (lambda: self_normalising("Add"), "raw", "the model normalises"),
        (lambda: self_normalising("Sub"), "raw", "the model normalises"),
        (lambda: self_normalising("Mul"), "raw", "the model normalises"),
        (quantised_input, "raw", "the model normalises"),
        (lambda: of_shape(1, 1, 8, 8, 8), "min-max", "a volume"),
        (lambda: of_shape(1, 2, 64), "raw", "a signal"),
        (lambda: from_keras("vgg16_1"), "caffe", "as Keras feeds vgg16_1"),
    ],
)
def test_a_guess_says_so(model: Callable[[], onnx.ModelProto], preset: str, why: str) -> None:
    card = understand(model())[2]
    assert card.preprocess == PRESETS[preset]
    assert len(card.assumed) == 1
    assert card.assumed[0].startswith(f"preprocessing '{preset}' ({why}")
    assert "--preprocess" in card.assumed[0]


@pytest.mark.parametrize(
    ("scope", "preset"),
    [
        ("vgg19/block1_conv1", "caffe"),
        ("functional_1/resnet50_1/conv1_conv_1", "caffe"),
        ("resnet152v2/conv1_conv", "tf"),
        ("model/inception_v3/conv2d", "tf"),
        ("functional_1/mobilenetv2_1.00_160_1/Conv1_1", "tf"),
        ("mobilenet_1.00_224/conv1", "tf"),
        ("NASNet/stem_conv1", "tf"),
        ("densenet121/conv1", "imagenet"),
        ("efficientnetb0/stem_conv", "raw"),
        ("efficientnetv2-s/stem_conv", "raw"),
        ("MobileNetV3Small/conv", "raw"),
        ("convnext_tiny/stem", "raw"),
    ],
)
def test_applications_of_keras(scope: str, preset: str) -> None:
    found = application(Network(from_keras(scope)))
    assert found is not None
    assert found[0] == preset


@pytest.mark.parametrize("scope", ["my_vgg16_like/conv", "model/conv", "vgg"])
def test_other_names_are_no_applications(scope: str) -> None:
    assert application(Network(from_keras(scope))) is None


def test_other_programs_have_other_names() -> None:
    assert application(Network(from_keras("vgg16/conv", "pytorch"))) is None
