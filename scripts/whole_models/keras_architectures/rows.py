"""A recurrent network that reads a picture row by row."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers as kl


def rows(height: int, width: int, *readers: Callable[[], kl.Layer]) -> keras.Model:
    """Convolution, then each row's features are one step of what the readers are given."""
    image = keras.Input((height, width, 1))
    x = kl.Conv2D(6, 3, (1, 2), "same", activation="tanh")(image)
    x = kl.Reshape((height, -1))(x)
    for reader in readers:
        x = reader()(x)
    return keras.Model(image, kl.Dense(20, activation="softmax")(x))
