"""The levels of a detector joined to one table of candidates, as nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.branches import Branch
from onnxcam.graph.columns import Columns
from onnxcam.graph.detections import Detections
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.pyramid import Pyramid, logits_of
from onnxcam.targets.scores import real

_AROUND = 1.5
"""Half the side, in cells, of what stands for a box that is unknown: its cell and those around it,
in which YOLO looks for the middle of an object."""


def joined(e: Emitter, found: Pyramid) -> Detections:
    """One table (N, columns, candidates): level by level, anchor by anchor, row by row of cells.

    Its boxes are in pixels of the input.
    """
    scores, are_logits = _values(e, [one.scores for one in found.heads])
    kind = f"{found.kind} logits" if are_logits else found.kind
    logits = Columns.of(scores, 1) if are_logits else None
    objectness = None
    sure = [one.objectness for one in found.heads if one.objectness is not None]
    if sure:
        there, outside = _values(e, sure)
        objectness = Columns.of(e.unary("Sigmoid", there) if outside else there, 1)
        scores = e.unary("Sigmoid", scores) if are_logits else scores
        kind, logits = "sigmoid", None
    boxes, corners, grid = _boxes(e, found, scores)
    table = Columns.of(scores, 1)
    known = found.decoding is not None
    return Detections(
        Columns.of(boxes, 1),
        corners,
        table,
        kind,
        logits,
        objectness,
        found.background,
        grid,
        known,
    )


def _values(e: Emitter, branches: Sequence[Branch]) -> tuple[gs.Tensor, bool]:
    """Scores (N, columns, candidates), and whether they are logits."""
    logits = [one for one in map(logits_of, branches) if one is not None]
    read = logits if len(logits) == len(branches) else branches
    return _joined(e, read), read is logits


def _joined(e: Emitter, branches: Sequence[Branch]) -> gs.Tensor:
    return e.concat([_rows(e, one) for one in branches], -1)


def _rows(e: Emitter, branch: Branch) -> gs.Tensor:
    """A branch as float32 (N, columns, anchors x cells)."""
    x, order = branch.tensor, branch.order.replace("**", "*")
    sizes = {"*": branch.cells, "A": branch.anchors}
    if "A" not in order:
        order = order.replace("C", "AC")
    n, total = x.shape[0], int(np.prod(x.shape[1:]))
    sizes["C"] = total // (branch.cells * branch.anchors)
    y = e.reshape(real(e, x), [n, *(sizes[axis] for axis in order)])
    y = e.slice(y, order.index("C") - 3, branch.start, branch.start + branch.count)
    y = e.transpose(y, [order.index(axis) for axis in "CA*"])
    return e.reshape(e.cast(y, np.float32), [n, branch.count, branch.anchors * branch.cells])


def _boxes(e: Emitter, found: Pyramid, like: gs.Tensor) -> tuple[gs.Tensor, str, np.ndarray | None]:
    """Four columns, the format of their corners, and the cells where they are undecoded."""
    cells = _cells(found)
    read = [one.boxes for one in found.heads if one.boxes is not None]
    if found.decoding == "centre":
        return _joined(e, read), "cxcywh", cells
    middles = (cells[:, :2] + 0.5).T[None]
    strides = e.constant(cells[None, None, :, 2], np.float32)
    if found.decoding is None:
        around = np.concatenate([middles - _AROUND, middles + _AROUND], 1) * cells[:, 2]
        return e.expand(e.constant(around, np.float32), like, [-3]), "xyxy", None
    sides = _joined(e, read)
    if found.decoding == "distances":
        sides = _expected(e, sides)
    place = e.constant(middles, np.float32)
    before = e.sub(place, e.slice(sides, -2, 0, 2))
    behind = e.add(place, e.slice(sides, -2, 2, 4))
    return e.mul(e.concat([before, behind], -2), strides), "xyxy", None


def _expected(e: Emitter, logits: gs.Tensor) -> gs.Tensor:
    """The distances (N, 4, candidates) that distributions (N, 4 x bins, candidates) expect."""
    n, width, count = logits.shape
    split = e.reshape(logits, [n, 4, width // 4, count])
    powers = e.unary("Exp", e.sub(split, e.reduce("ReduceMax", split, [-2])))
    steps = e.constant(np.arange(width // 4).reshape(1, 1, -1, 1), np.float32)
    total = e.reduce("ReduceSum", powers, [-2], keepdims=False)
    return e.div(e.reduce("ReduceSum", e.mul(powers, steps), [-2], keepdims=False), total)


def _cells(found: Pyramid) -> np.ndarray:
    """x, y and stride of each candidate's cell, (candidates, 3)."""
    rows = []
    for one in found.heads:
        ys, xs = np.mgrid[0 : one.level.grid[0], 0 : one.level.grid[1]].reshape(2, -1)
        cells = np.stack([xs, ys, np.full(xs.shape, one.level.stride)], 1)
        rows += [cells] * one.scores.anchors
    return np.concatenate(rows).astype(np.float32)
