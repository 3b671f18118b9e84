"""Small smooth networks (no kinks), so that differences of their scores are exact enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from graphs import CLASSES, SIDE, Build, Dims, weights
from onnx import TensorProto

MAP_CLASSES = 4


def trunk(b: Build) -> str:
    """A convolution and Tanh: `features`, (N, 8, SIDE/2, SIDE/2)."""
    b.conv("image", "conv", (8, 3, 3, 3), strides=[2, 2])
    return b.op("Tanh", ["conv"], "features")


def classifier(
    units: int = CLASSES, ending: str | None = None, batch: Any = "n", opset: int = 18
) -> onnx.ModelProto:
    """Global average pooling and a linear layer; an activation at the end where one is named."""
    b = Build((batch, 3, SIDE, SIDE), opset)
    trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 8, units)
    last = "logits"
    if ending:
        last = b.op(ending, ["logits"], "scores", **({} if ending == "Sigmoid" else {"axis": 1}))
    b.output(last, [batch, units])
    return b.model()


def two_heads() -> onnx.ModelProto:
    """Classes of kinds and, beside them, of colours; and an embedding."""
    b = Build(("n", 3, SIDE, SIDE))
    trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "embedding")
    b.linear("embedding", "kinds", 8, CLASSES)
    b.linear("embedding", "colour_logits", 8, 3)
    b.op("Softmax", ["colour_logits"], "colours", axis=1)
    b.output("kinds", ["n", CLASSES])
    b.output("colours", ["n", 3])
    b.output("embedding", ["n", 8])
    return b.model()


def segmentation(
    ending: tuple[str, ...] = (),
    channels: int = MAP_CLASSES,
    last: bool = False,
    batch: Any = "n",
    side: Any = SIDE,
    opset: int = 18,
) -> onnx.ModelProto:
    """A score a class and position at half the picture's size, `map`, then what is named.

    `last` puts the classes behind the positions, as Keras and TensorFlow do.
    """
    b = Build((batch, 3, side, side), opset)
    trunk(b)
    name = b.conv("features", "map", (channels, 8, 1, 1))
    half = side // 2 if isinstance(side, int) else None
    shape: Dims = [batch, channels, half, half]
    if last:
        name = b.op("Transpose", [name], "moved", perm=[0, 2, 3, 1])
        shape = [batch, half, half, channels]
    axis, kind = 3 if last else 1, TensorProto.FLOAT
    for op in ending:
        attrs: dict[str, Any] = {"axis": axis} if op in ("Softmax", "ArgMax") else {}
        if op == "Resize":
            scales = [1, 2, 2, 1] if last else [1, 1, 2, 2]
            none = b.weight("none", np.array([], np.float32))
            inputs = [name, none, b.weight("scales", np.array(scales, np.float32))]
            name = b.op(op, inputs, f"{name}_{op}", mode="linear")
            shape = [d * 2 if isinstance(d, int) and k in (1, 2, 3) and k != axis else d
                     for k, d in enumerate(shape)]  # fmt: skip
            continue
        if op == "ArgMax":
            attrs["keepdims"] = 0
            shape = [d for k, d in enumerate(shape) if k != axis]
            kind = TensorProto.INT64
        name = b.op(op, [name], f"{name}_{op}", **attrs)
    b.output(name, shape, kind)
    return b.model()


def regression(units: int = 1, squeezed: bool = False) -> onnx.ModelProto:
    """Numbers that are no classes, (N, units) or (N,)."""
    b = Build(("n", 3, SIDE, SIDE))
    trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "age", 8, units)
    if squeezed:
        b.op("Squeeze", ["age", b.weight("axis", np.array([1]))], "years")
        b.output("years", ["n"])
    else:
        b.output("age", ["n", units])
    return b.model()


def heatmaps() -> onnx.ModelProto:
    """Two maps an image, (N, 2, h, w): key points or depth."""
    b = Build(("n", 3, SIDE, SIDE))
    trunk(b)
    b.conv("features", "points", (2, 8, 1, 1))
    b.output("points", ["n", 2, SIDE // 2, SIDE // 2])
    return b.model()


def softmax(z: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def matrix(name: str, rows: int, columns: int) -> np.ndarray:
    """The weights that `Build.linear` made for an output of that name."""
    return weights(columns, rows, seed=sum(map(ord, name)))
