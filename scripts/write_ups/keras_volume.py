"""Grad-CAM of Keras volume classifiers as it is written down: `conv3d_7`, min-max, four panels.

The recipe in its own framework: the gradient of the output *probability* with respect to the
convolution's output, averaged over all axes but channels; activations (through a ReLU, in one
variant) and averaged gradients each scaled to [0, 1] over the whole array; their product averaged
over channels, cut off at 0 and scaled again. Then the map is laid over the volume.

Environment: pip install tensorflow-cpu keras tf2onnx onnx onnxruntime matplotlib pillow
Run from scripts/: python -m write_ups.keras_volume
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl
from references.derivation import distance, nudges
from references.head import Head
from references.keras_source import fill, lift

from write_ups.keep import Found, keep
from write_ups.keras_models import calm, environment, exported
from write_ups.volume_pictures import enlarged, fusion, panels, slice_of

SIZE = (144, 168, 152)
WIDTHS = (8, 8, 16, 16, 32, 32, 64, 64)
LAYER = "conv3d_7"
CUT = 84
"""The slice shown: `[:, 84, :]`, turned by 90 degrees."""

EVERY = 8
"""Of the heat at the volume's size each so-manieth voxel is recorded."""


@dataclass(frozen=True)
class Network:
    """A classifier, which of its outputs is explained (None: the best), and how far apart its
    logits are made to lie: a saturated probability has no gradient to speak of."""

    build: Callable[[], keras.Model]
    unit: int | None
    spread: float


def two_by_two(x: keras.KerasTensor) -> keras.KerasTensor:
    """Pairs of convolutions with a pool between them, up to the last convolution but one."""
    for number, width in enumerate(WIDTHS[:-1]):
        name = f"conv3d_{number}" if number else "conv3d"
        x = kl.Conv3D(width, 3, padding="same", activation="relu", name=name)(x)
        if number % 2:
            x = kl.MaxPooling3D(2)(x)
    return x


def one_unit() -> keras.Model:
    """Sigmoid over one unit, behind a hidden layer that tells places apart.

    What pools `conv3d_7` averages: of maxima that tie, as in air they do, TensorFlow's 3-D pool
    gives each the whole gradient, and rounding decides which of them tie.
    """
    volume = keras.Input((*SIZE, 1), name="volume")
    x = two_by_two(volume)
    x = kl.Conv3D(WIDTHS[-1], 3, padding="same", activation="relu", name=LAYER)(x)
    x = kl.Flatten()(kl.AveragePooling3D(3)(x))
    x = kl.Dense(32, activation="relu")(x)
    return keras.Model(volume, kl.Dense(1, activation="sigmoid")(x))


def four_classes() -> keras.Model:
    """Softmax over four classes; `conv3d_7` has no activation of its own, so both signs."""
    volume = keras.Input((*SIZE, 1), name="volume")
    x = kl.Conv3D(WIDTHS[-1], 3, padding="same", name=LAYER)(two_by_two(volume))
    x = kl.GlobalAveragePooling3D()(kl.ReLU()(x))
    return keras.Model(volume, kl.Dense(4, activation="softmax")(x))


NETWORKS = {
    "keras_volume_sigmoid": Network(one_unit, 0, 1.0),
    "keras_volume_softmax": Network(four_classes, None, 2.0),
}
PICTURED = "keras_volume_sigmoid"
"""The one whose pictures are kept."""


def unit_range(values: tf.Tensor) -> tf.Tensor:
    """Min-max over the whole array."""
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    return (values - low) / (high - low)


def backward(model: keras.Model, x: np.ndarray, unit: int) -> tuple[np.ndarray, ...]:
    """Output, activations, and d probability[unit] / d activations.

    In single precision: TensorFlow pools volumes in no other.
    """
    exposed = keras.Model(model.input, [model.get_layer(LAYER).output, model.output])
    with tf.GradientTape() as tape:
        activations, predictions = exposed(tf.cast(x, tf.float32))
        probability = predictions[:, unit]
    gradients = tape.gradient(probability, activations)
    return predictions.numpy(), activations.numpy(), gradients.numpy()


def heat_of(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The recipe's map (d, h, w) in [0, 1]."""
    pooled = tf.reduce_mean(gradients, axis=(0, 1, 2, 3))
    weighted = unit_range(activations[0]) * unit_range(pooled)
    return unit_range(tf.nn.relu(tf.reduce_mean(weighted, axis=-1))).numpy()


def pictures(volume: np.ndarray, heat: np.ndarray) -> dict[str, np.ndarray]:
    """What is shown of the volume, (D, H, W) in [0, 1], and of its heat of the same size."""
    shown, hot = slice_of(volume, CUT), slice_of(heat, CUT)
    return {**panels(shown, hot), "fusion": fusion(shown, hot)}


def derived(name: str) -> Found:
    """One network, drawn, exported, and what the recipe makes of it."""
    network, source = NETWORKS[name], Head(name, SIZE)
    model, x = network.build(), source.values()
    draws = fill(f"write_ups/{name}", model)
    lift(model, x)
    draws = calm(model, x, draws, network.spread)
    unit = int(model(x)[0].numpy().argmax()) if network.unit is None else network.unit
    output, activations, gradients = backward(model, x, unit)
    heat = heat_of(activations, gradients)
    moved = [backward(model, near, unit) for near in nudges(x, 2)]
    whole = enlarged(heat, SIZE)
    return Found(
        name=name,
        source=source,
        model=exported(model),
        draws=draws,
        classes=[unit],
        output=output,
        activations={LAYER: activations},
        arrays={
            "heat": heat,
            "heat, activations cut off": heat_of(np.maximum(activations, 0), gradients),
            "heat at the volume's size": whole[::EVERY, ::EVERY, ::EVERY],
        },
        precision="float32",
        drift=max(distance(heat_of(*other[1:]), heat) for other in moved),
        environment=environment(),
        pictures=pictures(x[0, ..., 0], whole) if name == PICTURED else {},
    )


if __name__ == "__main__":
    for name in NETWORKS:
        print(keep(derived(name)), flush=True)
