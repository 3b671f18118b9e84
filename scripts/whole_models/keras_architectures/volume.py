"""A classifier of volumes: C3D (Tran et al. 2015), but for width and depth, and normalised."""

from __future__ import annotations

import keras
from keras import layers as kl


def volume(depth: int, height: int, width: int, classes: int = 20) -> keras.Model:
    """Convolutions and pools with windows over all three axes, strided unevenly on odd sides."""
    image = x = keras.Input((depth, height, width, 1))
    for index, filters in enumerate((8, 16, 24)):
        x = kl.Conv3D(filters, 3, padding="same", use_bias=False)(x)
        x = kl.ReLU()(kl.BatchNormalization()(x))
        # The first pool leaves the depth alone, as in C3D.
        x = _pool(x, depth=1 if index == 0 else 2)
    x = kl.Conv3D(32, 3, 2, "same", activation="elu")(x)
    x = kl.GlobalAveragePooling3D()(x)
    return keras.Model(image, kl.Dense(classes, activation="softmax")(x))


def _pool(x: keras.KerasTensor, depth: int) -> keras.KerasTensor:
    """Maximum over windows of depth x 2 x 2."""
    if keras.config.floatx() == "float32":
        return kl.MaxPool3D((depth, 2, 2), padding="same")(x)
    # TensorFlow's is for float32 only: over the picture, then over the depth.
    x = kl.TimeDistributed(kl.MaxPool2D(2, padding="same"))(x)
    _, slices, height, width, channels = x.shape
    x = kl.Reshape((slices, height * width, channels))(x)
    x = kl.MaxPool2D((depth, 1), padding="same")(x)
    return kl.Reshape((-1, height, width, channels))(x)
