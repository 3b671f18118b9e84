"""Keras's side: networks with random weights, exported, and differentiated by GradientTape."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers as kl
from references.keras_source import calibrate, lift

from .comparison import Comparison, Derivation, compare, record
from .keras_networks import NETWORKS, Network

PICTURES = 4
"""A ReLU that rounding turns differs from picture to picture; a wrong rule does not."""


def measured(network: Network, count: int = PICTURES) -> Iterator[Comparison]:
    """Build and export one network; differentiate it at as many pictures."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = network.build()
    _shake(model)
    _lift(model, network.lift)
    _settle(model, _pictures(model, (8, *network.shape[1:])))
    pictures = [_pictures(model, network.shape) for _ in range(count)]
    weights = np.random.standard_normal(model(pictures[0]).shape).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        exporter = _export(network, model, path)
        with _floatx("float64"):
            precise = network.build()
        precise.set_weights(model.get_weights())
        for x in pictures:
            double = _derivation(precise, x, weights, "float64")
            single = _derivation(model, x, weights, "float32")
            yield compare(network.name, exporter, path, x, weights, double, single)


def _shake(model: keras.Model) -> None:
    """Move weights off the constants they start from, which would hide parts of the network."""
    for weight in model.trainable_weights:
        values = weight.numpy()
        start = values.flat[0]
        if values.size > 1 and (values == start).all():
            weight.assign(start + 0.2 * np.random.standard_normal(values.shape))


def _lift(model: keras.Model, deviations: float) -> None:
    """Raise what the batch normalisations answer, as `Network.lift` says."""
    for layer in model.layers:
        if isinstance(layer, kl.BatchNormalization):
            gamma = abs(layer.gamma.numpy()) if layer.scale else 1.0
            layer.beta.assign_add(deviations * gamma * np.ones(layer.beta.shape))


def _settle(model: keras.Model, x: np.ndarray) -> None:
    """Keep activations of order one: by the normalisations' statistics, else by the biases."""
    if any(isinstance(layer, kl.BatchNormalization) for layer in model.layers):
        calibrate(model, x)
    else:
        lift(model, x)


def _pictures(model: keras.Model, shape: tuple[int, ...]) -> np.ndarray:
    """Random ones, in bytes' range where the model itself rescales that."""
    x = np.random.standard_normal(shape)
    takes_bytes = any(isinstance(layer, kl.Rescaling) for layer in model.layers)
    return (127.5 + 64 * x if takes_bytes else x).astype(np.float32)


def _export(network: Network, model: keras.Model, path: Path) -> str:
    """Write the model; how it was done, for the table."""
    if network.opset is None:
        model.export(str(path), format="onnx", verbose=False)
        return "Model.export (open batch)"
    signature = [tf.TensorSpec(network.shape, tf.float32, name="x")]
    function = tf.function(lambda x: model(x, training=False), input_signature=signature)
    tf2onnx.convert.from_function(function, signature, network.opset, output_path=str(path))
    return "tf2onnx"


@contextmanager
def _floatx(dtype: str) -> Iterator[None]:
    """What is built inside computes in this precision."""
    before = keras.config.floatx()
    try:
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)


def _derivation(model: keras.Model, x: np.ndarray, weights: np.ndarray, dtype: str) -> Derivation:
    given = tf.constant(x, dtype)
    with tf.GradientTape() as tape:
        tape.watch(given)
        output = model(given, training=False)
        score = tf.reduce_sum(output * tf.constant(weights, dtype))
    return Derivation(output.numpy(), tape.gradient(score, given).numpy())


def main(results: Path, wanted: list[str]) -> None:
    """Measure the networks named (all, if none)."""
    warnings.simplefilter("ignore")
    chosen = [network for network in NETWORKS if not wanted or network.architecture in wanted]
    record(((network.name, measured(network)) for network in chosen), results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
