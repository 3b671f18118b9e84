"""Small detectors whose levels are outputs of their own, and what they detect, by NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from graphs import Build
from targets.boxes.detectors import BATCH, CELLS, CLASSES, SIDE, trunk
from targets.boxes.reference import Found

from onnxcam.runtime import Runner

BINS = 16
GRIDS = (CELLS, CELLS // 2)
STRIDES = tuple(SIDE // grid for grid in GRIDS)


class Levels(Build):
    """Features at two sizes, and heads on each; a head's outputs are named by its level."""

    def __init__(self) -> None:
        super().__init__((BATCH, 3, SIDE, SIDE), 17)
        trunk(self)
        self.op("AveragePool", ["features"], "small", kernel_shape=[2, 2], strides=[2, 2])
        self.maps = ("features", "small")

    def head(self, name: str, count: int, level: int) -> str:
        """A convolution: (N, count, grid, grid)."""
        return self.conv(self.maps[level], f"{name}{level}", (count, 6, 1, 1))

    def give(self, name: str, shape: list[int | str]) -> None:
        self.output(name, [BATCH, *shape])


def joined() -> onnx.ModelProto:
    """YOLOv8 cut off behind its convolutions: (N, 4 x 16 + C, h, w)."""
    b = Levels()
    for level, grid in enumerate(GRIDS):
        parts = [b.head("dist", 4 * BINS, level), b.head("logit", CLASSES, level)]
        b.give(b.op("Concat", parts, f"out{level}", axis=1), [4 * BINS + CLASSES, grid, grid])
    return b.model()


def split() -> onnx.ModelProto:
    """For NPUs: distributions, probabilities, and the sum of these, of every level."""
    b = Levels()
    axes = b.weight("channels", np.array([1]))
    bounds = [b.weight("low", np.array(0, np.float32)), b.weight("high", np.array(1, np.float32))]
    for level, grid in enumerate(GRIDS):
        b.give(b.head("dist", 4 * BINS, level), [4 * BINS, grid, grid])
        scores = b.op("Sigmoid", [b.head("logit", CLASSES, level)], f"sure{level}")
        b.give(scores, [CLASSES, grid, grid])
        b.op("ReduceSum", [scores, axes], f"all{level}")
        b.give(b.op("Clip", [f"all{level}", *bounds], f"sum{level}"), [1, grid, grid])
    return b.model()


def channels_last() -> onnx.ModelProto:
    """The same as Keras and TensorFlow have it, without the sum: (N, h, w, channels)."""
    b = Levels()
    for level, grid in enumerate(GRIDS):
        for name, count in (("logit", CLASSES), ("dist", 4 * BINS)):
            of = b.head(name, count, level)
            if name == "logit":
                of = b.op("Sigmoid", [of], f"sure{level}")
            b.give(
                b.op("Transpose", [of], f"{name}s{level}", perm=[0, 2, 3, 1]), [grid, grid, count]
            )
    return b.model()


def centres() -> onnx.ModelProto:
    """YOLOX: boxes, objectness and classes, all apart."""
    b = Levels()
    for level, grid in enumerate(GRIDS):
        b.give(b.head("reg", 4, level), [4, grid, grid])
        b.give(b.op("Sigmoid", [b.head("obj", 1, level)], f"there{level}"), [1, grid, grid])
        b.give(
            b.op("Sigmoid", [b.head("cls", CLASSES, level)], f"sure{level}"), [CLASSES, grid, grid]
        )
    return b.model()


def sides() -> onnx.ModelProto:
    """FCOS: scores, distances and centredness."""
    b = Levels()
    for level, grid in enumerate(GRIDS):
        b.give(b.head("cls", CLASSES, level), [CLASSES, grid, grid])
        b.give(b.op("Softplus", [b.head("reg", 4, level)], f"sides{level}"), [4, grid, grid])
        b.give(b.head("obj", 1, level), [1, grid, grid])
    return b.model()


def anchors(order: str = "") -> onnx.ModelProto:
    """YOLOv5: (N, 3 (5 + C), h, w), or with anchors apart, (N, 3, h, w, 5 + C)."""
    b = Levels()
    width = 5 + CLASSES
    for level, grid in enumerate(GRIDS):
        of = b.head("raw", 3 * width, level)
        if order:
            b.weight(f"shape{level}", np.array([0, 3, width, grid, grid]))
            b.op("Reshape", [of, f"shape{level}"], f"apart{level}")
            of = b.op("Transpose", [f"apart{level}"], f"turned{level}", perm=[0, 1, 3, 4, 2])
        of = b.op("Sigmoid", [of], f"out{level}")
        b.give(of, [3, grid, grid, width] if order else [3 * width, grid, grid])
    return b.model()


def ssd() -> onnx.ModelProto:
    """Scores and boxes of two anchors a cell on the first level, of three on the second."""
    b = Levels()
    for level, grid in enumerate(GRIDS):
        count = level + 2
        b.give(b.head("cls", count * (1 + CLASSES), level), [count * (1 + CLASSES), grid, grid])
        b.give(b.head("loc", count * 4, level), [count * 4, grid, grid])
    return b.model()


KNOWN: dict[str, Callable[[], onnx.ModelProto]] = {
    "joined": joined,
    "split": split,
    "channels last": channels_last,
    "centres": centres,
    "sides": sides,
}
UNKNOWN: dict[str, Callable[[], onnx.ModelProto]] = {
    "anchors": anchors,
    "anchors apart": lambda: anchors("apart"),
    "ssd": ssd,
}
"""Those whose file does not say how large a box is."""


def found(form: str, model: onnx.ModelProto, x: np.ndarray) -> Found:
    """The detections of one of these, level by level, anchor by anchor, cell by cell."""
    parts = [_READ[form.split()[0]](_Level(model, x, k)) for k in range(len(GRIDS))]
    sure, boxes, scores = (np.concatenate(part, 1) for part in zip(*parts, strict=True))
    return Found(sure, boxes, scores)


class _Level:
    """Heads of one level, float64 (N, cells, numbers)."""

    def __init__(self, model: onnx.ModelProto, x: np.ndarray, level: int) -> None:
        self.model, self.x, self.level, self.stride = model, x, level, STRIDES[level]
        ys, xs = np.mgrid[0 : GRIDS[level], 0 : GRIDS[level]].reshape(2, -1)
        self.cells = np.stack([xs, ys], 1)
        self.middles = (self.cells + 0.5) * self.stride

    def __call__(self, name: str) -> np.ndarray:
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        name = f"{name}{self.level}"
        if name not in [output.name for output in copy.graph.output]:
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
        value = Runner(copy).run({"image": self.x})[name].astype(np.float64)
        return value.reshape(*value.shape[:2], -1).transpose(0, 2, 1)

    def around(self, sides: np.ndarray) -> np.ndarray:
        """Corners of boxes whose sides are so far from the cells' middles, in strides."""
        away = sides * self.stride
        return np.concatenate([self.middles - away[..., :2], self.middles + away[..., 2:]], -1)

    def places(self, count: int, anchors: int) -> np.ndarray:
        """The cells and their neighbours, of pictures and anchors."""
        corners = np.concatenate(
            [self.middles - 1.5 * self.stride, self.middles + 1.5 * self.stride], 1
        )
        return np.tile(corners, (count, anchors, 1))


_Three = tuple[np.ndarray, np.ndarray, np.ndarray]


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def _logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def _distributions(level: _Level) -> _Three:
    logits, dist = level("logit"), level("dist")
    powers = np.exp(dist.reshape(*dist.shape[:2], 4, BINS))
    expected = (powers * np.arange(BINS)).sum(-1) / powers.sum(-1)
    return _sigmoid(logits), level.around(expected), logits


def _centres(level: _Level) -> _Three:
    sure, reg = _sigmoid(level("cls")) * _sigmoid(level("obj")), level("reg")
    middle, half = (
        (reg[..., :2] + level.cells) * level.stride,
        np.exp(reg[..., 2:]) * level.stride / 2,
    )
    return sure, np.concatenate([middle - half, middle + half], -1), _logit(sure)


def _sides(level: _Level) -> _Three:
    sure = _sigmoid(level("cls")) * _sigmoid(level("obj"))
    return sure, level.around(level("sides")), _logit(sure)


def _anchored(level: _Level) -> _Three:
    raw = _sigmoid(level("raw"))
    each = np.concatenate(np.split(raw, 3, axis=2), 1)
    sure = each[..., 4:5] * each[..., 5:]
    return sure, level.places(len(raw), 3), _logit(sure)


def _ssd(level: _Level) -> _Three:
    logits = np.concatenate(np.split(level("cls"), level.level + 2, axis=2), 1)
    powers = np.exp(logits)
    sure = powers / powers.sum(-1, keepdims=True)
    sure[..., 0] = 0  # background
    return sure, level.places(len(logits), level.level + 2), logits


_READ: dict[str, Callable[[_Level], _Three]] = {
    "joined": _distributions,
    "split": _distributions,
    "channels": _distributions,
    "centres": _centres,
    "sides": _sides,
    "anchors": _anchored,
    "ssd": _ssd,
}
