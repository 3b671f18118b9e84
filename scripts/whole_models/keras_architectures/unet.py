"""Segmentation by an encoder whose features the decoder sees again (Ronneberger et al. 2015)."""

from __future__ import annotations

import keras
from keras import layers as kl
from keras import ops

WIDTHS = (12, 16, 24, 32)


class CropTo(kl.Layer):
    """The upper left part of the first features, of the size of the second."""

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        enlarged, remembered = inputs
        _, height, width, _ = ops.shape(remembered)
        return enlarged[:, :height, :width]

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        enlarged, remembered = input_shape
        return (*remembered[:3], enlarged[3])


def unet(
    height: int | None, width: int | None, interpolation: str, classes: int = 4
) -> keras.Model:
    """Logits of every pixel. The sides may be odd: "same" then pads unevenly, at strides of 2.

    The decoder enlarges by interpolation and by transposed convolution in turns.
    """
    image = x = keras.Input((height, width, 3))
    levels = []
    for level, filters in enumerate(WIDTHS):
        x = _block(x, filters, stride=1 if level == 0 else 2)
        levels.append(x)
    x = levels.pop()
    for level, filters in reversed(list(enumerate(WIDTHS[:-1]))):
        remembered = levels.pop()
        if level % 2:
            x = kl.UpSampling2D(2, interpolation=interpolation)(x)
        else:
            x = kl.Conv2DTranspose(filters, 3, 2, "same")(x)
        x = kl.Concatenate()([remembered, CropTo()([x, remembered])])
        x = _block(x, filters, stride=1)
    return keras.Model(image, kl.Conv2D(classes, 1)(x))


def _block(x: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
    x = kl.Conv2D(filters, 3, stride, "same", use_bias=False)(x)
    return kl.ReLU()(kl.BatchNormalization()(x))
