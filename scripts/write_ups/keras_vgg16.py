"""Grad-CAM of Keras's VGG16 as it is written down: `block5_conv3`, the three best classes.

The recipe in its own framework: the gradient of a class's *probability* with respect to the
convolution's output, averaged over batch, height and width; the activations' mean over channels
weighted by it, cut off at 0 and divided by its maximum (guarded where that is 0). The map is
enlarged cubically to the original picture, put in JET colours and blended with it, half and half.

Recording takes some 16 GB of memory.

Environment: pip install tensorflow-cpu keras tf2onnx onnx onnxruntime opencv-python-headless pillow
Run from scripts/: python -m write_ups.keras_vgg16
"""

import cv2
import keras
import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper
from references.derivation import distance, nudges
from references.keras_source import fill, in_precision, lift
from references.photograph import CaffePhotograph
from references.rebuild import constants

from write_ups.keep import Found, keep
from write_ups.keras_models import calm, environment, exported

NAME, LAYER, SIDE, BEST = "keras_vgg16", "block5_conv3", 224, 3
SMALL_SIDE = 64
"""The size at which the model is exported."""

SPREAD = 6.0
"""How far apart the logits are made to lie."""

EPS = 1e-10
"""What a maximum of 0 is replaced by."""


def vgg16(side: int) -> keras.Model:
    return keras.applications.VGG16(weights=None, input_shape=(side, side, 3))


def exported_small(model: keras.Model) -> onnx.ModelProto:
    """The export, made of a twin for small pictures and then given the size of `model`.

    tf2onnx takes some sixty times the memory of the weights, 30 GB for this network: three
    quarters of them lie in its first dense layer, the only one to depend on the picture's size.
    """
    twin = vgg16(SMALL_SIDE)
    few = twin.get_layer("fc1").kernel.shape[0]
    dense = model.get_layer("fc1").kernel.numpy()
    for own, small in zip(model.layers, twin.layers, strict=True):
        weights = own.get_weights()
        small.set_weights([weights[0][:few], weights[1]] if own.name == "fc1" else weights)
    proto = exported(twin)
    for name, tensor in constants(proto):
        values = numpy_helper.to_array(tensor)
        if np.array_equal(values, [few]):
            tensor.CopyFrom(numpy_helper.from_array(np.array([len(dense)], values.dtype), name))
        elif values.shape == (few, dense.shape[1]):
            tensor.CopyFrom(numpy_helper.from_array(dense, name))
    for dim in proto.graph.input[0].type.tensor_type.shape.dim[1:3]:
        dim.dim_value = model.input_shape[1]
    return proto


def backward(model: keras.Model, x: np.ndarray, index: int) -> tuple[np.ndarray, ...]:
    """Probabilities, activations, and d probability[index] / d activations."""
    exposed = keras.Model(model.input, [model.get_layer(LAYER).output, model.output])
    with tf.GradientTape() as tape:
        activations, predictions = exposed(tf.cast(x, model.compute_dtype))
        probability = predictions[:, index]
    return predictions.numpy(), activations.numpy(), tape.gradient(probability, activations).numpy()


def heat_of(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The recipe's map (h, w), its maximum 1."""
    pooled = tf.reduce_mean(gradients, axis=(0, 1, 2))
    heat = np.maximum(tf.reduce_mean(activations[0] * pooled, axis=-1).numpy(), 0)
    return heat / (heat.max() or EPS)


def laid_over(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The heat on a picture, uint8 RGB (H, W, 3), half and half.

    Cubic interpolation leaves [0, 1] beside steep edges; what does is cut off, which the
    conversion to uint8 would wrap around.
    """
    height, width = picture.shape[:2]
    large = cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC)
    levels = np.uint8(255 * np.clip(large, 0, 1))
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_JET)[..., ::-1]
    return cv2.addWeighted(np.ascontiguousarray(colours), 0.5, picture, 0.5, 0)


def recorded() -> str:
    """Record the network; a line that says how well conditioned it is."""
    model, source = vgg16(SIDE), CaffePhotograph("models/images/chelsea.png", (SIDE, SIDE))
    draws, x = fill(f"write_ups/{NAME}", model), source.values()
    lift(model, x)
    draws = calm(model, x, draws, SPREAD)
    exact = in_precision(model, "float64")
    best = np.argsort(-model(x).numpy()[0])[:BEST].tolist()
    original = cv2.imread(str(source.path))[..., ::-1]
    heats, moved, drawn = [], [], {}
    for rank, index in enumerate(best, 1):
        output, activations, gradients = backward(exact, x, index)
        heat = heat_of(activations, gradients)
        others = [backward(model, x, index), *(backward(exact, o, index) for o in nudges(x, 1))]
        moved += [distance(heat_of(*other[1:]), heat) for other in others]
        drawn[f"overlay_{rank}"] = laid_over(original, heat)
        heats.append(heat)
    kept = keep(
        Found(
            name=NAME,
            source=source,
            model=exported_small(model),
            draws=draws,
            classes=best,
            output=output.astype(np.float32),
            activations={LAYER: activations},
            arrays={"heat": np.stack(heats)},
            precision="float64",
            drift=max(moved),
            environment=environment(),
            pictures=drawn,
        )
    )
    visible = [round(float((heat > 0.05).mean()), 2) for heat in heats]
    found = ", ".join(f"{index} ({output[0, index]:.4f})" for index in best)
    return f"{kept}; best {found}; share of places above 0.05: {visible}"


if __name__ == "__main__":
    print(recorded())
