"""A detector's candidates as emitted: how sure each is, where it is, and which ones to explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.rules.positions import positions
from onnxcam.autodiff.rules.quantization import dequantized
from onnxcam.graph.columns import Columns
from onnxcam.graph.detections import Detections
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import is_float
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.pyramid import Pyramid
from onnxcam.graph.quantized import quantization_of
from onnxcam.targets.boxes.levels import joined

SAME = 0.5
"""Overlap (intersection over union) from which on two boxes count as one detection."""

_FRACTIONS = 2.0
"""Boxes that reach no further on average are fractions of the picture, not pixels."""

_LEAST = 1e-30

_BORDER = 1e-4
"""Overlaps and confidences that differ by less count as equal."""

_ALL = 2**31 - 1

Corners = Sequence[gs.Tensor]
"""x1, y1, x2, y2, each (N, candidates), in pixels of the model's input."""


@dataclass(frozen=True)
class Candidates:
    """`confidence` are columns like the scores': probabilities, times objectness."""

    e: Emitter
    found: Detections
    confidence: Columns
    corners: Corners

    @classmethod
    def of(cls, e: Emitter, found: Detections | Pyramid) -> Candidates:
        table = joined(e, found) if isinstance(found, Pyramid) else found
        return cls(e, table, _confidence(e, table), _corners(e, table))

    def certainty(self, wanted: gs.Tensor) -> gs.Tensor:
        """How sure each candidate is of the class wanted, (N, 1), or below 0 of its best:
        (N, candidates)."""
        e, columns = self.e, self.confidence
        allowed = self._allowed(e.unsqueeze(wanted, [-1]))
        masked = e.mul(columns.tensor, allowed)
        best = e.reduce("ReduceMax", masked, [columns.axis - 3])
        return e.squeeze(best, [columns.axis - 3])

    def number(self, wanted: gs.Tensor, least: float) -> gs.Tensor:
        """How many detections are `least` sure, one more or less: float32 (N, 1).

        By the operator that does so in one step, for counting only: not all runtimes have it, and
        where overlaps are on the border it may decide otherwise.
        """
        e, sure = self.e, self.certainty(wanted)
        corners = e.concat([e.unsqueeze(side, [-1]) for side in self.corners], -1)
        limits = (SAME + _BORDER, least - _BORDER)
        kept = e.op(
            "NonMaxSuppression",
            corners,
            e.unsqueeze(sure, [1]),
            e.ints(_ALL),
            *(e.constant([limit], np.float32) for limit in limits),
            shape=[None, 3],
            dtype=np.dtype(np.int64),
        )
        pictures = e.unsqueeze(positions(e, sure, 0), [-1])
        hits = e.equal(pictures, e.transpose(e.slice(kept, -1, 0, 1), (1, 0)))
        return e.reduce("ReduceSum", e.cast(hits, np.float32), [-1])

    def class_of(self, row: gs.Tensor, wanted: gs.Tensor) -> gs.Tensor:
        """The class wanted, or below 0 the best class of the candidate `row`; both (N, 1)."""
        e, count = self.e, self.found.classes
        numbers = e.constant(np.arange(count)[None], np.int64)
        sure = picked(e, self.confidence, row, numbers)
        masked = e.mul(sure, e.constant(self._classes()[None], np.float32))
        shape = [masked.shape[0], 1]
        best = e.op("ArgMax", masked, shape=shape, dtype=np.dtype(np.int64), axis=1, keepdims=1)
        chosen = e.where(e.less(wanted, 0), best, wanted)
        chosen.shape = shape
        return chosen

    def box_of(self, row: gs.Tensor) -> list[gs.Tensor]:
        """The corners of candidates (N, K), each (N, K)."""
        return [
            self.e.op("GatherElements", side, row, shape=list(row.shape), axis=1)
            for side in self.corners
        ]

    def meets(self, place: Corners) -> gs.Tensor:
        """How far each candidate is at a place, (N, candidates), from 0 to 1: their overlap; where
        boxes are unknown 1 for those whose cell has its middle there."""
        e = self.e
        shared = overlap(e, self.corners, place)
        if self.found.known:
            return shared
        inside: gs.Tensor | None = None
        for side in range(2):
            start, stop = self.corners[side], self.corners[side + 2]
            middle = e.mul(e.add(start, stop), 0.5)
            within = e.logical_and(e.greater(middle, place[side]), e.less(middle, place[side + 2]))
            inside = within if inside is None else e.logical_and(inside, within)
        assert inside is not None
        return e.where(inside, 1.0, shared)

    def probability(self, row: gs.Tensor, index: gs.Tensor) -> gs.Tensor:
        """How sure candidates are of classes, all (N, K)."""
        return picked(self.e, self.confidence, row, index)

    def logit(self, row: gs.Tensor, index: gs.Tensor) -> gs.Tensor:
        """The score of candidates for classes, (N, K), before its Sigmoid or Softmax.

        Where that is not to be had row by row, or where it is a product of class and objectness,
        the logit of the probability: log p - log(1 - p).
        """
        e = self.e
        if self.found.logits is not None:
            return picked(e, self.found.logits, row, index)
        p = picked(e, self.found.scores, row, index)
        if self.found.objectness is not None:
            p = e.mul(p, picked(e, self.found.objectness, row, e.constant([[0]], np.int64)))
        least = e.constant(_LEAST, np.float32)
        both = (p, e.sub(1.0, p))
        yes, no = (e.op("Max", t, least, shape=list(t.shape)) for t in both)
        return e.sub(e.unary("Log", yes), e.unary("Log", no))

    def _classes(self) -> np.ndarray:
        """1 for each class, 0 for the background."""
        mask = np.ones(self.found.classes, np.float32)
        if self.found.background is not None:
            mask[self.found.background] = 0
        return mask

    def _allowed(self, wanted: gs.Tensor) -> gs.Tensor:
        """1 where a column is of the class wanted, (N, 1, 1), or below 0 of any."""
        e = self.e
        shape = [1, 1, 1]
        shape[self.confidence.axis] = self.found.classes
        numbers = e.constant(np.arange(self.found.classes).reshape(shape), np.int64)
        own = e.cast(e.equal(numbers, wanted), np.float32)
        return e.where(e.less(wanted, 0), e.constant(self._classes().reshape(shape)), own)


def overlap(e: Emitter, a: Corners, b: Corners) -> gs.Tensor:
    """Intersection over union of boxes, element by element."""

    def area(box: Corners) -> gs.Tensor:
        return e.mul(_length(e, box[0], box[2]), _length(e, box[1], box[3]))

    inner = [
        e.op(op, p, q, shape=list(max((p, q), key=_extent).shape))
        for op, p, q in zip(("Max", "Max", "Min", "Min"), a, b, strict=True)
    ]
    both = area(inner)
    union = e.sub(e.add(area(a), area(b)), both)
    return e.div(both, e.op("Max", union, e.constant(1e-9, np.float32), shape=list(union.shape)))


def _extent(t: gs.Tensor) -> bool:
    return t.shape[-1] != 1


def _length(e: Emitter, start: gs.Tensor, stop: gs.Tensor) -> gs.Tensor:
    return e.unary("Relu", e.sub(stop, start))


def picked(e: Emitter, columns: Columns, row: gs.Tensor, column: gs.Tensor) -> gs.Tensor:
    """Numbers of a table by row and column, float32, shaped as the two broadcast: (N, K)."""
    tensor, (n, *rest) = columns.tensor, columns.tensor.shape
    size = rest[0] * rest[1] if all(isinstance(dim, int) for dim in rest) else None
    flat = e.reshape(tensor, [n, size], [e.dim(tensor, 0), e.ints(-1)])
    at = e.add(column, columns.start)
    if columns.axis == 2:
        at = e.add(e.mul(row, e.dim(tensor, -1)), at)
    else:
        at = e.add(row, e.mul(at, e.dim(tensor, -1)))
    at.shape = [n, at.shape[1]]
    found = e.op("GatherElements", flat, at, shape=list(at.shape), axis=1)
    return _real(e, tensor, found)


def _part(e: Emitter, columns: Columns) -> gs.Tensor:
    """Just these columns of their table, float32."""
    found = e.slice(columns.tensor, columns.axis - 3, columns.start, columns.start + columns.count)
    return _real(e, columns.tensor, found)


def _real(e: Emitter, table: gs.Tensor, numbers: gs.Tensor) -> gs.Tensor:
    """Numbers of a table, float32; of a quantised one what its integers stand for."""
    quantization = quantization_of(table)
    if is_float(table) or quantization is None:
        return e.cast(numbers, np.float32)
    return dequantized(e, numbers, *quantization)


def _confidence(e: Emitter, found: Detections) -> Columns:
    values = _part(e, found.scores)
    axis = found.scores.axis
    if found.kind == "sigmoid logits":
        values = e.unary("Sigmoid", values)
    elif found.kind == "softmax logits":
        above = e.sub(values, e.reduce("ReduceMax", values, [axis - 3]))
        powers = e.unary("Exp", above)
        values = e.op(
            "Div", powers, e.reduce("ReduceSum", powers, [axis - 3]), shape=list(powers.shape)
        )
    if found.objectness is not None:
        values = e.mul(values, _part(e, found.objectness))
    return Columns(values, axis, 0, found.classes)


def _corners(e: Emitter, found: Detections) -> Corners:
    axis = found.boxes.axis - 3
    sides = [e.squeeze(_part(e, found.boxes.part(k, 1)), [axis]) for k in range(4)]
    if found.grid is not None:
        xs, ys, strides = (e.constant(column[None], np.float32) for column in found.grid.T)
        sides = [
            e.mul(e.add(sides[0], xs), strides),
            e.mul(e.add(sides[1], ys), strides),
            e.mul(e.unary("Exp", sides[2]), strides),
            e.mul(e.unary("Exp", sides[3]), strides),
        ]
    if found.corners == "yxyx":
        sides = [sides[1], sides[0], sides[3], sides[2]]
    if found.corners == "cxcywh":
        half = [e.mul(length, 0.5) for length in sides[2:]]
        before = [e.sub(middle, by) for middle, by in zip(sides[:2], half, strict=True)]
        behind = [e.add(middle, by) for middle, by in zip(sides[:2], half, strict=True)]
        sides = [*before, *behind]
    return _in_pixels(e, sides)


def _in_pixels(e: Emitter, sides: list[gs.Tensor]) -> Corners:
    """Fractions of the picture times its size; pixels as they are."""
    image = find_image_input(e.network)
    tensor = e.network.tensors[image.name]
    fractions = e.less(e.reduce("ReduceMean", sides[2], [-1]), _FRACTIONS)
    factors = []
    for letter in "WH":
        size = e.cast(e.dim(tensor, image.layout.index(letter)), np.float32)
        factors.append(e.where(fractions, size, 1.0))
    return [e.mul(side, factors[k % 2]) for k, side in enumerate(sides)]
