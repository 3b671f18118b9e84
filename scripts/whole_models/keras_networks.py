"""The Keras networks that are compared, and how each is exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import keras
from keras import layers as kl

from .keras_architectures.rows import rows
from .keras_architectures.unet import unet
from .keras_architectures.volume import volume


@dataclass(frozen=True)
class Network:
    """An architecture with random weights, and the batch it is shown."""

    architecture: str
    build: Callable[[], keras.Model]
    shape: tuple[int, ...]
    """Channels last."""
    opset: int | None = None
    """For tf2onnx called by itself, with the batch as it is; None: Model.export with its default,
    which leaves the batch open."""
    lift: float = 0.0
    """By how many deviations the batch normalisations are raised, so that hardly any of the values
    a ReLU is shown lies within rounding of zero; some are still cut."""

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"keras {self.architecture}"


def application(architecture: str, size: int, opset: int | None = None, batch: int = 1) -> Network:
    """A classifier of keras.applications, its softmax included."""
    build = partial(
        getattr(keras.applications, architecture),
        weights=None,
        classes=20,
        input_shape=(size, size, 3),
    )
    return Network(architecture, build, (batch, size, size, 3), opset)


def unprepared(network: Network) -> Network:
    """The same from the normalised picture on.

    Exporting with Keras 3.15, mean and variance become further inputs of the model.
    """

    def build() -> keras.Model:
        model = network.build()
        (normalise,) = (layer for layer in model.layers if isinstance(layer, kl.Normalization))
        return keras.Model(normalise.output, model.output)

    return replace(network, build=build)


def raised(network: Network) -> Network:
    """The same, but well conditioned."""
    return replace(network, architecture=f"{network.architecture}, raised", lift=2.5)


RESNET = application("ResNet50", 96, opset=13)
RESNET_V2 = application("ResNet50V2", 96, batch=2)
MOBILENET = application("MobileNet", 128, opset=18)
MOBILENET_V2 = application("MobileNetV2", 96, batch=2)
DENSENET = application("DenseNet121", 96, opset=13)

# ConvNeXt is missing: tf2onnx 1.17 knows neither Erfc nor its depthwise convolutions.
NETWORKS = [
    application("VGG16", 64),
    RESNET,
    raised(RESNET),
    RESNET_V2,
    raised(RESNET_V2),
    MOBILENET,
    raised(MOBILENET),
    MOBILENET_V2,
    raised(MOBILENET_V2),
    application("MobileNetV3Small", 128),
    DENSENET,
    raised(DENSENET),
    unprepared(application("EfficientNetB0", 96)),
    unprepared(application("EfficientNetV2B0", 96, batch=2)),
    application("InceptionV3", 128),
    application("Xception", 96, opset=15),
    application("NASNetMobile", 96),
    Network("U-Net", partial(unet, 61, 47, "bilinear"), (1, 61, 47, 3), opset=13),
    # Keras traces no bilinear UpSampling2D of pictures whose size is open.
    Network("U-Net of any size", partial(unet, None, None, "nearest"), (2, 61, 47, 3)),
    Network("3-D convolutions", partial(volume, 13, 30, 27), (2, 13, 30, 27, 1), opset=15),
    Network("LSTM over rows", partial(rows, 20, 24, partial(kl.LSTM, 24)), (2, 20, 24, 1)),
]
