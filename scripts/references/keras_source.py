"""Keras's side: functional models on TensorFlow, and GradientTape."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl

from .derivation import Backward, Layer
from .inputs import Drawn, Input
from .recipe import LIFT, Draw, kernel, positive, raised, shift


class KerasSource:
    """A functional model that ends in a softmax; its logits are what the softmax is given."""

    precision = "float64"

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[str],
        pictures: Input,
        draws: Sequence[Draw] = (),
        published: str | None = None,
    ) -> None:
        self.model = model
        self.layers = [Layer(path, "NHWC") for path in layers]
        self.draws = draws
        self.published = published
        self.input = pictures
        self.converted: dict[str, keras.Model] = {}

    def export(self, path: Path) -> None:
        """Model.export, which wants the model called once."""
        self.model(np.zeros((1, *self.model.input_shape[1:]), np.float32))
        self.model.export(str(path), format="onnx", verbose=False)

    def output(self, x: np.ndarray) -> np.ndarray:
        """The probabilities, in double precision arithmetic, rounded at the end."""
        return self._in("float64")(x).numpy().astype(np.float32)

    def backward(self, x: np.ndarray, classes: Sequence[int], dtype: str) -> Backward:
        """GradientTape from the logits back to every layer."""
        model = self._in(dtype)
        parts = {layer.path: model.get_layer(layer.path).output for layer in self.layers}
        dense = model.layers[-1]
        exposed = keras.Model(model.input, {"dense": dense.input, **parts})
        with tf.GradientTape() as tape:
            answer = exposed(tf.cast(x, dtype))
            logits = answer["dense"] @ dense.kernel + dense.bias
            score = tf.reduce_sum(logits * tf.one_hot(classes, logits.shape[1], dtype=dtype))
        gradients = tape.gradient(score, {path: answer[path] for path in parts})
        return Backward(
            logits=logits.numpy(),
            activations={path: answer[path].numpy() for path in parts},
            gradients={path: gradient.numpy() for path, gradient in gradients.items()},
        )

    def _in(self, dtype: str) -> keras.Model:
        """The same model computing in another precision, made once."""
        if dtype not in self.converted:
            self.converted[dtype] = in_precision(self.model, dtype)
        return self.converted[dtype]


def in_precision(model: keras.Model, dtype: str) -> keras.Model:
    """A copy of a functional model that computes in another precision."""

    def convert(layer: kl.Layer) -> kl.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": dtype})

    converted = keras.models.clone_model(model, clone_function=convert)
    converted.set_weights(model.get_weights())
    return converted


def drawn(
    name: str,
    model: keras.Model,
    layers: Sequence[str],
    prepare: Callable[[keras.Model, np.ndarray], None],
) -> KerasSource:
    """A model filled with drawn weights, then prepared with the input it will be shown."""
    draws = fill(name, model)
    height, width, channels = model.input_shape[1:]
    pictures = Drawn(name, (2, channels, height, width), "NHWC")
    source = KerasSource(model, layers, pictures, draws)
    prepare(model, source.input.values())
    return source


def fill(name: str, model: keras.Model) -> list[Draw]:
    """Draw a model's trainable weights; the draws, in the order of the weights."""
    draws = [_draw(f"{name}/{weight.path}", weight) for weight in model.trainable_weights]
    for weight, draw in zip(model.trainable_weights, draws, strict=True):
        weight.assign(draw.values())
    return draws


def _draw(name: str, weight: keras.Variable) -> Draw:
    """The draw that suits a weight, by the part it plays."""
    shape = tuple(weight.shape)
    part = name.rpartition("/")[2]
    if part == "gamma":
        return positive(name, shape)
    if part == "beta":
        return raised(name, shape)
    if part == "bias":
        return shift(name, shape)
    inputs = shape[:-2] if "depthwise" in name else shape[:-1]
    return kernel(name, shape, int(np.prod(inputs)))


def calibrate(model: keras.Model, x: np.ndarray) -> None:
    """Give every batch normalisation the statistics of what flows through it."""
    for layer in model.layers:
        if isinstance(layer, kl.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)


def lift(model: keras.Model, x: np.ndarray) -> None:
    """The same for a model without normalisation: raise its convolutions' biases to suit."""
    for layer in model.layers:
        if isinstance(layer, kl.Conv2D | kl.Conv3D):
            activation, layer.activation = layer.activation, keras.activations.linear
            output = keras.Model(model.input, layer.output)(x).numpy()
            layer.activation = activation
            places = tuple(range(output.ndim - 1))
            change = LIFT * output.std(places) - output.mean(places)
            layer.bias.assign_add(change)
