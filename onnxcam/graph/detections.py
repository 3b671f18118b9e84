"""The end of a detector: a table with a row a candidate, and what its columns mean.

Known are, with the batch N in front, A candidates and C classes:

- YOLOv8 to 11: (N, 4 + C, A), or transposed; further columns (masks, key points) behind;
- YOLOv5, v7 and YOLOX: (N, A, 5 + C), the fifth column being objectness, YOLOX also undecoded;
- boxes (N, A, 4) and scores (N, A, C): SSD, DETR and its kin, PP-YOLOE, YOLO-NAS;
- levels that are outputs of their own (`onnxcam.graph.pyramid`);
- any of the tables behind NonMaxSuppression, or behind TopK and Gather (YOLOv10, RT-DETR): what is
  explained is the candidate that such a choice picks, in the table in front of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.columns import Columns, row_parts, sources, upstream
from onnxcam.graph.network import Network, is_float, once, producer
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.plain import plain_inputs
from onnxcam.graph.pyramid import Pyramid, read_pyramid
from onnxcam.graph.quantized import is_real

_ACTIVATIONS = {"Sigmoid": "sigmoid", "HardSigmoid": "sigmoid", "QLinearSigmoid": "sigmoid"}
_ACTIVATIONS |= {"Softmax": "softmax", "Mul": "product"}
_CHOICES = {
    "TopK", "GatherElements", "GatherND", "Gather", "ReduceMax", "Reshape", "Flatten",
    "Unsqueeze", "Squeeze", "Identity", "Cast",
}  # fmt: skip
_SCORE_NAMES = ("score", "logit", "conf", "cls", "class", "prob")


@dataclass(frozen=True)
class Detections:
    """A detector's candidates.

    `boxes` are four columns, in the format `corners`: "xyxy", "yxyx" or "cxcywh". `grid`, where
    the boxes are still undecoded (YOLOX), has a row a candidate: x, y and stride of its cell.

    `scores` are the classes' columns. `kind` says of them: "sigmoid", "softmax" or "product"
    (class times objectness) made them, so they are probabilities; or they are the logits of a
    Sigmoid or Softmax outside the graph: "sigmoid logits", "softmax logits". `logits` are the
    columns in front of the activation, where the graph has them row by row. `objectness` is a
    probability by which the scores are still to be multiplied. `background` is the class that
    stands for no object. Where the boxes are not `known`, they are the places of the candidates'
    cells.
    """

    boxes: Columns
    corners: str
    scores: Columns
    kind: str
    logits: Columns | None = None
    objectness: Columns | None = None
    background: int | None = None
    grid: np.ndarray | None = None
    known: bool = True

    @property
    def classes(self) -> int:
        return self.scores.count

    @property
    def tensors(self) -> list[gs.Tensor]:
        """What scores and boxes are read from."""
        read = [self.logits] if self.logits else [self.scores, self.objectness]
        return [one.tensor for one in (*read, self.boxes) if one is not None]


@once
def find_detections(network: Network) -> Detections | Pyramid | None:
    """What the model detects; None where it is no detector of a known kind."""
    floats = [t for t in network.graph.outputs if is_float(t)]
    for tensor in floats:  # how many it found may have left no shape to be inferred
        for node in upstream(tensor) if len(tensor.shape or [0]) in (1, 2, 3) else ():
            if node.op == "NonMaxSuppression":
                found = _suppressed(network, node)
                if found is not None:
                    return found
    outputs = [t for t in floats if t.shape is not None]
    rank3 = [t for t in outputs if len(t.shape) == 3]
    for tensor in rank3:
        found = _one_table(network, tensor)
        if found is not None:
            return found
    one_or_two = _chosen(network, outputs) or _two_tables(network, rank3)
    return one_or_two or read_pyramid(network).pyramid


def _suppressed(network: Network, node: gs.Node) -> Detections | None:
    """What goes into NonMaxSuppression: boxes (N, A, 4) and scores (N, C, A)."""
    boxes, scores = node.inputs[:2]
    if not _has_width(boxes, 2) or not _has_width(scores, 1):
        return None
    centres = node.attrs.get("center_point_box", 0)
    corners = "cxcywh" if centres else _corners_of(network)
    return _paired(network, Columns.of(boxes, 2), Columns.of(scores, 1), corners)


def _one_table(network: Network, tensor: gs.Tensor) -> Detections | None:
    """One output whose first four columns are boxes, put together from parts at the end."""
    for axis in (1, 2):
        if not _has_width(tensor, axis, 5):
            continue
        whole = Columns.of(tensor, axis)
        parts = sources(network, whole)
        starts = np.cumsum([0, *(part.count for part in parts)]).tolist()
        if 4 not in starts[1:-1]:
            continue
        found = _scored(network, whole, starts, parts)
        if found is not None:
            grid = _undecoded(network, whole)
            return replace(found, grid=grid)
    return None


def _scored(
    network: Network, table: Columns, starts: list[int], parts: list[Columns]
) -> Detections | None:
    """A table's classes, from the fifth column on: behind a column of objectness, or not."""
    at = starts.index(4)
    objectness: Columns | None = None
    first = parts[at]
    if first.count == 1 and at + 1 < len(parts):
        following = parts[at + 1]
        if first.tensor.name not in network.varying:  # a column of ones
            at += 1
        elif first.maker in _ACTIVATIONS and following.maker == first.maker:
            objectness = table.part(4, 1)
            at += 1
    part, start = parts[at], starts[at]
    if part.maker not in _ACTIVATIONS:
        return None
    count = part.count
    if part is first and objectness is None and part.start >= 4:
        # One Sigmoid for the whole row, as in YOLOv5: its own fifth column is the objectness.
        objectness = table.part(4, 1)
        part, start, count = part.part(1, count - 1), start + 1, count - 1
    if count < 1:
        return None
    logits = None if objectness else _logits(part)
    kind = _ACTIVATIONS[part.maker]
    # A quantised table has one scale for pixels and scores, which leaves the latter two or three
    # values: they are read where they are made.
    scores = part if part.is_table else table.part(start, count)
    return Detections(table.part(0, 4), "cxcywh", scores, kind, logits, objectness)


def _chosen(network: Network, outputs: list[gs.Tensor]) -> Detections | None:
    """Tables in front of TopK and Gather: (N, K, 6), or boxes (N, K, 4) beside scores (N, K)."""
    boxes: Columns | None = None
    scores: Columns | None = None
    for tensor in outputs:
        if _has_width(tensor, 2, 6, 6):
            parts = sources(network, Columns.of(tensor, 2))
            starts = np.cumsum([0, *(part.count for part in parts)]).tolist()
            if 4 in starts:
                boxes = _before_choice(parts[0].tensor)
                scores = _before_choice(parts[starts.index(4)].tensor)
        elif _has_width(tensor, 2, 4, 4):
            boxes = _before_choice(tensor)
        elif len(tensor.shape) == 2 and any(node.op == "TopK" for node in _choices(tensor)):
            scores = _before_choice(tensor)
    if boxes is None or scores is None or boxes.count != 4:
        return None
    corners = "cxcywh" if sources(network, boxes)[0].maker == "Sigmoid" else "xyxy"
    return _paired(network, boxes, scores, corners)


def _two_tables(network: Network, outputs: list[gs.Tensor]) -> Detections | None:
    """Two outputs of the same rows: boxes (N, A, 4) and scores (N, A, C)."""
    for boxes in sorted(outputs, key=lambda t: "box" not in t.name.lower()):
        if not _has_width(boxes, 2, 4, 4):
            continue
        others = [t for t in outputs if t is not boxes and t.shape[1] == boxes.shape[1]]
        tables = [Columns.of(t, 2) for t in others if _has_width(t, 2, 1)]
        if not tables:
            continue
        activated = [t for t in tables if sources(network, t)[0].maker in _ACTIVATIONS]
        named = [t for t in tables if any(n in t.tensor.name.lower() for n in _SCORE_NAMES)]
        columns = Columns.of(boxes, 2)
        corners = _corners_of(network)
        if sources(network, columns)[0].maker == "Sigmoid":
            corners = "cxcywh"
        return _paired(network, columns, (activated or named or tables)[0], corners)
    return None


def _paired(network: Network, boxes: Columns, scores: Columns, corners: str) -> Detections | None:
    """Boxes beside scores; the scores step back to their activation."""
    parts = sources(network, scores)
    part, background = parts[0], None
    kind = _ACTIVATIONS.get(part.maker) if len(parts) == 1 else None
    if kind == "product" and not _of_probabilities(network, part):
        kind = None
    logits = _logits(part) if kind else scores
    if kind and part.is_table:
        scores = part  # before a rounding
    if kind is None:
        kind = f"{_outside(network, scores)} logits"
    if "softmax" in kind and part.count == part.tensor.shape[part.axis] > 1:
        background = part.count - 1 if corners == "cxcywh" else 0
    return Detections(boxes, corners, scores, kind, logits, None, background)


def _of_probabilities(network: Network, part: Columns) -> bool:
    """Whether a product is one of class and objectness, each behind an activation."""
    node = producer(part.tensor)
    assert node is not None
    inputs = plain_inputs(node)
    if any(t.shape is None or len(t.shape) != len(part.tensor.shape) for t in inputs):
        return False
    factors = [Columns(t, part.axis, 0, 1) for t in inputs]
    return all(sources(network, factor)[0].maker in _ACTIVATIONS for factor in factors)


def _outside(network: Network, scores: Columns) -> str:
    """The activation that follows bare logits.

    DETR's queries are stored, and its classes share a Softmax with "no object". Its successors
    choose their queries (TopK) or look where they point (GridSample), and use a Sigmoid.
    """
    ops = {node.op for node in upstream(scores.tensor)}
    return "sigmoid" if ops & {"TopK", "GridSample"} or scores.count == 1 else "softmax"


def _logits(part: Columns) -> Columns | None:
    if part.maker == "Mul" or not part.is_table:
        return None
    before = part.through()
    return before if is_real(before.tensor) else None


def _corners_of(network: Network) -> str:
    """TensorFlow, whose pictures are channels last, names y first."""
    return "yxyx" if find_image_input(network).channels_last else "xyxy"


def _choices(tensor: gs.Tensor) -> list[gs.Node]:
    """The nodes that only choose among what is there, from a tensor backwards."""
    found, node = [], producer(tensor)
    while node is not None and node.op in _CHOICES:
        found.append(node)
        node = producer(node.inputs[0])
    return found


def _before_choice(tensor: gs.Tensor) -> Columns | None:
    """The table (N, A, columns) that a choice was made among."""
    nodes = _choices(tensor)
    if not any(node.op in ("TopK", "GatherElements", "GatherND") for node in nodes):
        return None
    for node in reversed(nodes):
        if _has_width(node.inputs[0], 2):
            return Columns.of(node.inputs[0], 2)
    return None


def _undecoded(network: Network, table: Columns) -> np.ndarray | None:
    """x, y and stride of each candidate's cell, where boxes come straight from convolutions."""
    image = find_image_input(network)
    if image.height is None or len(image.size) != 2:
        return None
    found = []
    for level in row_parts(network, table.part(0, 4)):
        box = sources(network, level)[0]
        if box.maker != "Conv" or box.count != 4:
            return None
        height, width = box.tensor.shape[-2:]
        if not isinstance(height, int) or not isinstance(width, int):
            return None
        ys, xs = np.mgrid[0:height, 0:width].reshape(2, -1)
        strides = np.full(height * width, image.height / height)
        found.append(np.stack([xs, ys, strides], 1))
    rows = np.concatenate(found).astype(np.float32)
    return rows if len(rows) == table.tensor.shape[table.row_axis] else None


def _has_width(tensor: gs.Tensor, axis: int, least: int = 1, most: int | None = None) -> bool:
    """Whether a tensor of three axes has a known number of columns, within bounds."""
    if tensor.shape is None or len(tensor.shape) != 3 or not is_float(tensor):
        return False
    width = tensor.shape[axis]
    return isinstance(width, int) and least <= width and (most is None or width <= most)
