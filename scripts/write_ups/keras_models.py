"""Keras models with drawn weights, made fit for their probability to be explained."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from references.recipe import Draw


def environment() -> dict[str, str]:
    """The versions that derive the values."""
    return {module.__name__: module.__version__ for module in (keras, tf)}


def calm(model: keras.Model, x: np.ndarray, draws: Sequence[Draw], spread: float) -> list[Draw]:
    """Scale the last layer's kernel so that the logits lie `spread` apart, or one unit's there.

    `draws` are those of the model's weights, the last kernel and bias at their end; returns them
    with the kernel's changed.
    """
    dense = model.layers[-1]
    *others, kernel, bias = draws
    logits = keras.Model(model.input, dense.input)(x).numpy()[0] @ dense.kernel.numpy()
    factor = spread / float(np.ptp(logits) if logits.size > 1 else logits[0])
    kernel = replace(kernel, low=kernel.low * factor, high=kernel.high * factor)
    dense.kernel.assign(kernel.values())
    return [*others, kernel, bias]


def exported(model: keras.Model) -> onnx.ModelProto:
    """What `Model.export` writes, which wants the model called once."""
    model(np.zeros((1, *model.input_shape[1:]), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(str(path), format="onnx", verbose=False)
        return onnx.load(path)
