"""Small detectors, one for each form in which they are deployed."""

from __future__ import annotations

import numpy as np
import onnx
from graphs import Build, Dims, weights
from onnx import TensorProto

SIDE = 32
CELLS = 8
CLASSES = 3
ROWS = CELLS * CELLS
STRIDE = SIDE // CELLS

BATCH = "n"


def trunk(b: Build, name: str = "image") -> str:
    """Smooth features (N, 6, 8, 8), all numbers of which differ."""
    b.conv(name, "conv1", (6, 3, 3, 3), strides=[2, 2])
    b.op("Tanh", ["conv1"], "tanh1")
    b.conv("tanh1", "conv2", (6, 6, 3, 3), strides=[2, 2])
    return b.op("Tanh", ["conv2"], "features")


def start(opset: int = 17, shape: Dims = (BATCH, 3, SIDE, SIDE)) -> Build:
    b = Build(shape, opset)
    trunk(b)
    return b


def cells(b: Build, name: str, count: int) -> str:
    """A branch of the head as (N, count, 64), numbers of a cell in one column."""
    b.conv("features", f"{name}.conv", (count, 6, 1, 1))
    b.weight(f"{name}.shape", np.array([0, count, ROWS]))
    return b.op("Reshape", [f"{name}.conv", f"{name}.shape"], name)


def rows(b: Build, name: str, count: int) -> str:
    """The same as (N, 64, count)."""
    cells(b, f"{name}.cells", count)
    return b.op("Transpose", [f"{name}.cells"], name, perm=[0, 2, 1])


def middles() -> np.ndarray:
    """x and y of the middles of the cells in pixels, (2, 64)."""
    ys, xs = np.mgrid[0:CELLS, 0:CELLS].reshape(2, -1)
    return ((np.stack([xs, ys]) + 0.5) * STRIDE).astype(np.float32)


def decoded(b: Build, of: str, axis: int) -> str:
    """Boxes cx, cy, w, h in pixels, as a table with the columns along that axis: `cxcywh`."""
    shape = (1, 2, ROWS) if axis == 1 else (1, ROWS, 2)
    place = middles() if axis == 1 else middles().T
    b.weight("middles", place.reshape(shape))
    b.weight("four", np.array(4, np.float32))
    b.weight("least", np.array(6, np.float32))
    b.op("Mul", [of, "four"], "scaled")
    for name, begin in (("offset", 0), ("extent", 2)):
        stop, at = b.weight(f"{name}.stop", np.array([begin + 2])), b.weight(f"{name}.axis", [axis])
        b.op("Slice", ["scaled", b.weight(f"{name}.start", np.array([begin])), stop, at], name)
    b.op("Add", ["offset", "middles"], "centre")
    b.weight("most", np.array(20, np.float32))
    b.op("Sigmoid", ["extent"], "grown")
    b.op("Mul", ["grown", "most"], "long")
    b.op("Add", ["long", "least"], "size")
    return b.op("Concat", ["centre", "size"], "cxcywh", axis=axis)


def yolov8(
    opset: int = 17, turned: bool = False, more: int = 0, batch: int | str | None = BATCH
) -> onnx.ModelProto:
    """(N, 4 + C, 64), or transposed; `more` columns (key points, say) behind."""
    b = start(opset, (batch, 3, SIDE, SIDE))
    decoded(b, cells(b, "sides", 4), 1)
    b.op("Sigmoid", [cells(b, "logits", CLASSES)], "scores")
    parts = ["cxcywh", "scores"] + ([cells(b, "points", more)] if more else [])
    b.op("Concat", parts, "table" if turned else "output0", axis=1)
    shape: Dims = [batch, 4 + CLASSES + more, ROWS]
    if turned:
        b.op("Transpose", ["table"], "output0", perm=[0, 2, 1])
        shape = [batch, ROWS, 4 + CLASSES + more]
    b.output("output0", shape)
    return b.model()


def yolov5(opset: int = 17) -> onnx.ModelProto:
    """(N, 64, 5 + C): one Sigmoid for whole rows, which are then taken apart."""
    b = start(opset)
    b.op("Sigmoid", [rows(b, "raw", 5 + CLASSES)], "activated")
    parts = [2, 2, 1 + CLASSES]
    given = [b.weight("parts", np.array(parts))] if opset >= 13 else []
    node = onnx.helper.make_node("Split", ["activated", *given], ["xy", "wh", "sure"], axis=2)
    if not given:
        node.attribute.append(onnx.helper.make_attribute("split", parts))
    b.nodes.append(node)
    b.weight("eight", np.array(8, np.float32))
    b.weight("middles", middles().T[None])
    b.op("Mul", ["xy", "eight"], "shifted")
    b.op("Add", ["shifted", "middles"], "centre")
    b.weight("twenty", np.array(20, np.float32))
    b.op("Mul", ["wh", "twenty"], "size")
    b.op("Concat", ["centre", "size", "sure"], "output", axis=2)
    b.output("output", [BATCH, ROWS, 5 + CLASSES])
    return b.model()


def yolox(opset: int = 17) -> onnx.ModelProto:
    """(N, 64 + 16, 5 + C) of two levels, boxes not decoded yet."""
    b = start(opset)
    b.op("AveragePool", ["features"], "small", kernel_shape=[2, 2], strides=[2, 2])
    for level, (of, count) in enumerate((("features", ROWS), ("small", ROWS // 4))):
        b.conv(of, f"reg{level}", (4, 6, 1, 1))
        b.conv(of, f"obj{level}", (1, 6, 1, 1))
        b.conv(of, f"cls{level}", (CLASSES, 6, 1, 1))
        b.op("Sigmoid", [f"obj{level}"], f"there{level}")
        b.op("Sigmoid", [f"cls{level}"], f"sure{level}")
        b.op("Concat", [f"reg{level}", f"there{level}", f"sure{level}"], f"all{level}", axis=1)
        b.weight(f"flat{level}", np.array([0, 5 + CLASSES, count]))
        b.op("Reshape", [f"all{level}", f"flat{level}"], f"level{level}")
    b.op("Concat", ["level0", "level1"], "levels", axis=2)
    b.op("Transpose", ["levels"], "output", perm=[0, 2, 1])
    b.output("output", [BATCH, ROWS * 5 // 4, 5 + CLASSES])
    return b.model()


def detr(opset: int = 17) -> onnx.ModelProto:
    """Logits (N, 64, C + 1), the last of which is "no object", and boxes as fractions."""
    b = start(opset)
    rows(b, "logits", CLASSES + 1)
    b.op("Sigmoid", [rows(b, "sides", 4)], "pred_boxes")
    b.output("logits", [BATCH, ROWS, CLASSES + 1])
    b.output("pred_boxes", [BATCH, ROWS, 4])
    return b.model()


def ssd(opset: int = 17) -> onnx.ModelProto:
    """Scores (N, 64, 1 + C) behind a Softmax, background first, and corners as fractions."""
    b = start(opset)
    b.op("Softmax", [rows(b, "logits", 1 + CLASSES)], "scores", axis=2)
    corners(b, as_fractions=True)
    b.output("scores", [BATCH, ROWS, 1 + CLASSES])
    b.output("boxes", [BATCH, ROWS, 4])
    return b.model()


def corners(b: Build, as_fractions: bool = False, y_first: bool = False) -> str:
    """x1, y1, x2, y2 as (N, 64, 4): `boxes`."""
    decoded(b, rows(b, "sides", 4), 2)
    b.weight("half", np.array(0.5, np.float32))
    b.op("Mul", ["size", "half"], "by")
    b.op("Sub", ["centre", "by"], "before")
    b.op("Add", ["centre", "by"], "behind")
    last = b.op("Concat", ["before", "behind"], "xyxy", axis=2)
    if y_first:
        last = b.op("Gather", [last, b.weight("turn", np.array([1, 0, 3, 2]))], "yxyx", axis=2)
    if as_fractions:
        last = b.op("Div", [last, b.weight("all", np.array(SIDE, np.float32))], "fractions")
    return b.op("Identity", [last], "boxes")


def suppressed(opset: int = 17, channels_last: bool = False) -> onnx.ModelProto:
    """NonMaxSuppression inside, over the products of class and objectness: indices (found, 3)."""
    b = Build((BATCH, SIDE, SIDE, 3) if channels_last else (BATCH, 3, SIDE, SIDE), opset)
    if channels_last:
        b.op("Transpose", ["image"], "nchw", perm=[0, 3, 1, 2])
    trunk(b, "nchw" if channels_last else "image")
    corners(b, y_first=channels_last)
    b.op("Sigmoid", [cells(b, "logits", CLASSES)], "sure")
    b.op("Sigmoid", [cells(b, "objects", 1)], "there")
    b.op("Mul", ["sure", "there"], "scores")
    limits = [b.weight("kept", np.array([5])), b.weight("share", np.array([0.5], np.float32))]
    b.op("NonMaxSuppression", ["boxes", "scores", *limits], "selected")
    b.op("Cast", ["selected"], "found", to=TensorProto.FLOAT)
    b.output("found", [None, 3])
    b.output("selected", [None, 3], TensorProto.INT64)
    return b.model()


def end_to_end(opset: int = 17) -> onnx.ModelProto:
    """YOLOv10: the ten best of a table, (N, 10, 6): corners, score, class."""
    b = start(opset)
    corners(b)
    b.op("Sigmoid", [rows(b, "logits", CLASSES)], "scores")
    b.weight("flat", np.array([0, ROWS * CLASSES]))
    b.op("Reshape", ["scores", "flat"], "all_scores")
    b.weight("ten", np.array([10]))
    node = onnx.helper.make_node("TopK", ["all_scores", "ten"], ["best", "at"], axis=1)
    b.nodes.append(node)
    b.weight("classes", np.array(CLASSES))
    b.op("Mod", ["at", "classes"], "class")
    b.op("Div", ["at", "classes"], "row")
    last = b.weight("last", np.array([2]))
    for name in ("row", "class", "best"):
        b.op("Unsqueeze", [name, last], f"{name}s")
    b.weight("by_four", np.array([1, 1, 4]))
    b.op("Tile", ["rows", "by_four"], "rows_of_four")
    b.op("GatherElements", ["boxes", "rows_of_four"], "best_boxes", axis=1)
    b.op("Cast", ["classs"], "class_numbers", to=TensorProto.FLOAT)
    b.op("Concat", ["best_boxes", "bests", "class_numbers"], "output0", axis=2)
    b.output("output0", [BATCH, 10, 6])
    return b.model()


def chosen_queries(opset: int = 17) -> onnx.ModelProto:
    """RT-DETR as deployed: labels, boxes and scores of the ten best, behind a TopK."""
    b = start(opset)
    corners(b)
    b.op("Sigmoid", [rows(b, "logits", CLASSES)], "sure")
    b.op("Flatten", ["sure"], "all_scores", axis=1)
    b.weight("ten", np.array([10]))
    node = onnx.helper.make_node("TopK", ["all_scores", "ten"], ["scores", "at"], axis=1)
    b.nodes.append(node)
    b.weight("classes", np.array(CLASSES))
    b.op("Mod", ["at", "classes"], "labels")
    b.op("Div", ["at", "classes"], "row")
    b.op("Unsqueeze", ["row", b.weight("last", np.array([2]))], "rows")
    b.weight("by_four", np.array([1, 1, 4]))
    b.op("Tile", ["rows", "by_four"], "rows_of_four")
    b.op("GatherElements", ["boxes", "rows_of_four"], "best_boxes", axis=1)
    b.output("labels", [BATCH, 10], TensorProto.INT64)
    b.output("best_boxes", [BATCH, 10, 4])
    b.output("scores", [BATCH, 10])
    return b.model()


def text_lines() -> onnx.ModelProto:
    """No detector: (N, positions, characters) of a recogniser of text."""
    b = start()
    b.op("Softmax", [rows(b, "logits", 20)], "output", axis=2)
    b.output("output", [BATCH, ROWS, 20])
    return b.model()


FORMS = {
    "yolov8": yolov8,
    "yolov8 turned": lambda opset=17: yolov8(opset, turned=True),
    "yolov8 with key points": lambda opset=17: yolov8(opset, more=5),
    "yolov5": yolov5,
    "yolox": yolox,
    "detr": detr,
    "ssd": ssd,
    "suppressed": suppressed,
    "suppressed, channels last": lambda opset=17: suppressed(opset, channels_last=True),
    "end to end": end_to_end,
    "chosen queries": chosen_queries,
}


def batch(count: int = 2, model: onnx.ModelProto | None = None, seed: int = 0) -> np.ndarray:
    """Pictures of noise as the model takes them."""
    x = weights(count, 3, SIDE, SIDE, seed=seed, scale=1.0)
    last = model is not None and model.graph.input[0].type.tensor_type.shape.dim[3].dim_value == 3
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if last else x
