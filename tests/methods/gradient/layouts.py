"""Small classifiers, one for every way in which a layer can lay out its activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from builders import classifier, conv_trunk, vgg_like
from graphs import CLASSES, Build, pictures, weights

import onnxcam
from onnxcam.runtime import Runner


@dataclass(frozen=True)
class Layout:
    """A model, the layer looked at, and its axes; `prefix` tokens have no place in the picture."""

    make: Callable[[], onnx.ModelProto]
    layer: str
    channel: int
    spatial: tuple[int, ...]
    size: tuple[int, ...]
    prefix: int = 0
    shape: tuple[int, ...] = (3, 16, 16)

    def x(self, count: int) -> np.ndarray:
        """Pictures; models with a fixed batch get one."""
        if self.shape == (3, 16, 16):
            return pictures(count if self.open_batch else 1)
        rng = np.random.default_rng(5)
        return rng.standard_normal((count, *self.shape)).astype(np.float32)

    @property
    def open_batch(self) -> bool:
        batch = self.make().graph.input[0].type.tensor_type.shape.dim[0]
        return not batch.HasField("dim_value")

    def flat(self, values: np.ndarray) -> np.ndarray:
        """Activations or gradients in float64 as (N, C, positions)."""
        arranged = values.transpose(0, self.channel, *self.spatial).astype(np.float64)
        return arranged.reshape(*arranged.shape[:2], -1)[:, :, self.prefix :]


def sequence() -> onnx.ModelProto:
    """A row of samples instead of a picture, max-pooled so that the gradient varies."""
    b = Build(("n", 2, 24), opset=13)
    b.weight("w", weights(6, 2, 3))
    b.op("Conv", ["image", "w"], "conv", pads=[1, 1])
    b.op("Tanh", ["conv"], "features")
    b.op("MaxPool", ["features"], "pool", kernel_shape=[4], strides=[4])
    b.op("Flatten", ["pool"], "flat")
    b.linear("flat", "logits", 36, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def volume() -> onnx.ModelProto:
    """A volume, averaged over all its positions in the end."""
    b = Build(("n", 1, 6, 8, 4), opset=17)
    b.weight("w", weights(5, 1, 3, 3, 3))
    b.op("Conv", ["image", "w"], "features", pads=[1] * 6)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 5, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def volume_twice() -> onnx.ModelProto:
    """A volume whose positions count differently."""
    b = Build(("n", 1, 6, 8, 4), opset=17)
    b.weight("w", weights(5, 1, 3, 3, 3))
    b.op("Conv", ["image", "w"], "conv", pads=[1] * 6)
    b.op("Tanh", ["conv"], "features")
    b.op("Mul", ["features", "features"], "squares")
    b.op("GlobalAveragePool", ["squares"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 5, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def channels_last() -> onnx.ModelProto:
    """Normalised over channels that come last, then averaged."""
    b = Build(("n", 3, 16, 16), opset=17)
    conv_trunk(b)
    b.op("Transpose", ["features"], "last", perm=[0, 2, 3, 1])
    b.weight("scale", weights(8))
    b.weight("bias", weights(8, seed=1))
    b.op("LayerNormalization", ["last", "scale", "bias"], "normed", axis=-1)
    b.op("Tanh", ["normed"], "squashed")
    b.op("ReduceMean", ["squashed"], "flat", axes=[1, 2], keepdims=0)
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def width_first() -> onnx.ModelProto:
    """Height and width change places in front of the layer; neither has its usual length."""
    b = Build(("n", 3, 16, 8), opset=18)
    conv_trunk(b)
    b.op("Transpose", ["features"], "turned", perm=[0, 1, 3, 2])
    b.op("Tanh", ["turned"], "squashed")
    b.op("Flatten", ["squashed"], "flat")
    b.linear("flat", "logits", 8 * 8 * 4, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def channels_between() -> onnx.ModelProto:
    """Channels between height and width, averaged over both."""
    b = Build(("n", 3, 16, 8), opset=18)
    conv_trunk(b)
    b.op("Transpose", ["features"], "turned", perm=[0, 2, 1, 3])
    b.op("Sigmoid", ["turned"], "squashed")
    b.weight("places", np.array([1, 3]))
    b.op("ReduceMean", ["squashed", "places"], "flat", keepdims=0)
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def tokens(squared: bool) -> onnx.ModelProto:
    """Patches in a row behind a class token; all count alike, or by their squares."""
    b = Build(opset=17)
    b.conv("image", "patches", (8, 3, 4, 4), strides=[4, 4], pads=[0, 0, 0, 0])
    b.weight("flat_shape", np.array([1, 8, 16]))
    b.op("Reshape", ["patches", "flat_shape"], "rows")
    b.op("Transpose", ["rows"], "patch_tokens", perm=[0, 2, 1])
    b.weight("class_token", weights(1, 1, 8, seed=3))
    b.op("Concat", ["class_token", "patch_tokens"], "tokens", axis=1)
    b.op("Tanh", ["tokens"], "features")
    b.op("Mul", ["features", "features"], "squares")
    b.op("ReduceMean", ["squares" if squared else "features"], "flat", axes=[1], keepdims=0)
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


def swish() -> onnx.ModelProto:
    """An average pool behind an activation of both signs."""
    b = Build(("n", 3, 16, 16), opset=13)
    b.conv("image", "conv1", (6, 3, 3, 3), strides=[2, 2])
    b.op("Sigmoid", ["conv1"], "gate")
    b.op("Mul", ["conv1", "gate"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 6, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


_NCHW = (1, (2, 3))
_NHWC = (3, (1, 2))
POOLED = {
    "NCHW": Layout(lambda: classifier(("n", 3, 16, 16)), "features", *_NCHW, (8, 8)),
    "NCHW, opset 11": Layout(lambda: classifier(opset=11), "features", *_NCHW, (8, 8)),
    "both signs": Layout(swish, "features", *_NCHW, (8, 8)),
    "NHWC": Layout(channels_last, "squashed", *_NHWC, (8, 8)),
    "NHCW": Layout(channels_between, "squashed", 2, (1, 3), (8, 4), shape=(3, 16, 8)),
    "tokens": Layout(lambda: tokens(False), "features", 2, (1,), (4, 4), 1),
    "NCDHW": Layout(volume, "features", 1, (2, 3, 4), (6, 8, 4), shape=(1, 6, 8, 4)),
}
"""Layers with nothing but an average over positions and a linear layer behind them."""
VARYING = {
    "NCHW": Layout(vgg_like, "features", *_NCHW, (8, 8)),
    "NCHW, opset 11": Layout(lambda: classifier(opset=11), "conv1", *_NCHW, (8, 8)),
    "NCWH": Layout(width_first, "squashed", 1, (3, 2), (8, 4), shape=(3, 16, 8)),
    "NHWC": Layout(channels_last, "normed", *_NHWC, (8, 8)),
    "tokens": Layout(lambda: tokens(True), "features", 2, (1,), (4, 4), 1),
    "NCW": Layout(sequence, "features", 1, (2,), (24,), shape=(2, 24)),
    "NCDHW": Layout(volume_twice, "features", 1, (2, 3, 4), (6, 8, 4), shape=(1, 6, 8, 4)),
}
"""Layers whose gradient varies from position to position."""
LAYOUTS = {f"{name}, pooled": one for name, one in POOLED.items()} | VARYING


def watched(layout: Layout, x: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The layer's activations and the gradient of one logit, (N, C, positions) in float64."""
    picture, runner = _watching(layout, target)
    answer = runner.run({picture: x})
    return layout.flat(answer[layout.layer]), layout.flat(answer[f"{layout.layer}_grad"])


@cache
def _watching(layout: Layout, target: int) -> tuple[str, Runner]:
    """The input, and a session of the model with both for outputs."""
    model = layout.make()
    pick = onnx.numpy_helper.from_array(np.eye(CLASSES, dtype=np.float32)[target], "pick")
    model.graph.initializer.append(pick)
    model.graph.node.append(onnx.helper.make_node("Mul", ["logits", "pick"], ["picked"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("picked", 1, None))
    model.graph.output.append(onnx.helper.make_tensor_value_info(layout.layer, 1, None))
    made = onnxcam.append_gradients(model, of="picked", wrt=[layout.layer])
    return model.graph.input[0].name, Runner(made)
