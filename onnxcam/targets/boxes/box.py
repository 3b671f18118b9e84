"""A detected box: why was this found here?"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import TargetError
from onnxcam.graph.detections import Detections, find_detections
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.graph.pyramid import Pyramid, read_pyramid
from onnxcam.targets.base import Case, Choice, Explained
from onnxcam.targets.boxes.candidates import SAME, Candidates, overlap
from onnxcam.targets.boxes.saturation import seeds_before_saturation
from onnxcam.targets.classes import BEST, CLASS_INPUT

ROW_INPUT, PLACE_INPUT = "cam_row", "cam_place"

PLACES = ("x1", "y1", "x2", "y2", "width", "height", "area")
WHAT = ("score", *PLACES)

NOTHING = 0.05
"""Confidence below which a candidate is no detection, where one was asked for."""

TOUCHING = 0.1
"""Overlap with a place asked for below which a detection is not the one that was meant."""

_FOUND, _COUNTED = "found", "counted"
"""What is asked of a picture beforehand: how sure a detection is, and how many there may be."""

_MANY = 8
"""Rank from which it is cheaper to count what there is than to look for it one by one."""

_NEAR = 1e-3
_ANYWHERE = (0.0, 0.0, 0.0, 0.0)

Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """One detection, or `count` of them: the best ones, from `rank` on, of all or of one class
    `cls` (a number or label); or the one at a place, `at` = (x1, y1, x2, y2) in the picture's
    pixels: of the candidates that overlap it by half the surest, else the one that overlaps best.

    `what` is explained: "score", the candidate's logit for the class, before the Sigmoid or
    Softmax, and where the model multiplies class and objectness the logit of the product; or where
    the box is, in pixels of the model's input: "x1", "y1", "x2", "y2", "width", "height", "area".

    The choice is made in the graph: the surest candidate, then the surest of those that overlap
    it by less than half, and so on, as non-maximum suppression does. So it holds for files with
    and without that operator inside. A run may choose through `cam_row` (N, K), the number of a
    candidate, `cam_class` (N, K), and `cam_place` (N, K, 4), in pixels of the input; -1, and a
    place without area, leave it to the graph.
    """

    cls: int | str = BEST
    rank: int = 0
    at: Place | None = None
    what: str = "score"
    count: int = 1

    is_placed = True

    def __post_init__(self) -> None:
        if self.what not in (*WHAT, _FOUND, _COUNTED):
            raise TargetError(f"a box has no '{self.what}'; there are {', '.join(WHAT)}")
        if self.rank < 0 or self.count < 1:
            raise TargetError(f"detection {self.rank} does not exist; the best one is 0")
        if self.at is not None:
            x1, y1, x2, y2 = self.at
            if self.rank or self.count > 1:
                raise TargetError("give a box by its place or by its rank, not both")
            if not (x1 < x2 and y1 < y2):
                raise TargetError(
                    f"the box {_shown(self.at)} is empty; give x1,y1,x2,y2, top left first"
                )

    @classmethod
    def best(cls, count: int) -> Box:
        """The `count` best detections."""
        return cls(count=count)

    @property
    def structure(self) -> Hashable:
        return (Box, self.rank, self.count, self.what)

    def settled(self, case: Case) -> Box:
        found = require_detections(case.network)
        if self.what in PLACES and isinstance(found, Pyramid) and found.decoding is None:
            raise TargetError(
                f"the sizes of the model's anchors are not in the file, so its boxes have no "
                f"'{self.what}'; explain the score"
            )
        index = case.index_of(self.cls) if isinstance(self.cls, str) else int(self.cls)
        if index != BEST and not 0 <= index < found.classes:
            raise TargetError(
                f"class {index} does not exist; the model has classes 0 to {found.classes - 1}"
            )
        at = self.at
        if at is not None and case.frame is not None:
            x1, y1, x2, y2 = case.frame.to_input(np.array(at)).tolist()
            at = (x1, y1, x2, y2)
        one = replace(self, cls=index, at=at)
        if one != Box(what=self.what, count=self.count):
            self._require_detected(one, case)
        return one

    def emit(self, e: Emitter) -> Explained:
        found = require_detections(e.network)
        seen = Candidates.of(e, found)
        batch, k = "cam_batch", self.count
        rows = gs.Variable(ROW_INPUT, np.dtype(np.int64), [batch, k])
        classes = gs.Variable(CLASS_INPUT, np.dtype(np.int64), [batch, k])
        places = gs.Variable(PLACE_INPUT, np.dtype(np.float32), [batch, k, 4])
        row, index, sure = self._choose(seen, rows, classes, places)
        box = seen.box_of(row)
        stacked = e.concat([e.unsqueeze(side, [-1]) for side in box], -1)
        asked = {_FOUND: lambda: sure, _COUNTED: lambda: seen.number(classes, NOTHING)}
        score = asked.get(self.what, lambda: self._score(seen, row, index, box))()
        given = self.feeds()
        return Explained(
            tuple(Choice(one, given[one.name]) for one in (rows, classes, places)),
            index,
            score,
            seen.probability(row, index),
            {} if self.what in asked else seeds_before_saturation(e, score, found.tensors),
            {ROW_INPUT: row, CLASS_INPUT: index, PLACE_INPUT: stacked},
            stacked,
        )

    def feeds(self) -> dict[str, np.ndarray]:
        shape = (1, self.count)
        return {
            ROW_INPUT: np.full(shape, BEST, np.int64),
            CLASS_INPUT: np.full(shape, self.cls, np.int64),
            PLACE_INPUT: np.full((*shape, 4), self.at or _ANYWHERE, np.float32),
        }

    def alone(self, n: int, index: np.ndarray) -> Box:
        return self

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        name = names(index)
        if self.what == "score":
            return name
        return f"{self.what} of {name or f'class {index}'}"

    def key(self, k: int, index: int) -> str:
        which = f"box-{_shown(self.at) if self.at else self.rank + k}"
        if self.cls != BEST:
            which = f"own-{which}"  # the second of its class, say, not the second of all
        return f"{index}.{which}" + ("" if self.what == "score" else f".{self.what}")

    def _choose(
        self, seen: Candidates, rows: gs.Tensor, classes: gs.Tensor, places: gs.Tensor
    ) -> tuple[gs.Tensor, ...]:
        """Rows and classes of the detections, and by how much they were chosen, each (N, K)."""
        e = seen.e
        alive: gs.Tensor | None = None
        chosen: list[tuple[gs.Tensor, ...]] = []
        for turn in range(self.rank + self.count):
            k = max(0, turn - self.rank)
            wanted = e.slice(classes, -1, k, k + 1)
            sure = seen.certainty(wanted)
            if alive is not None:
                sure = e.mul(sure, alive)
            sure = e.mul(sure, self._fits(seen, places, k))
            shape = [sure.shape[0], 1]
            row: gs.Tensor = e.op(
                "ArgMax", sure, shape=shape, dtype=np.dtype(np.int64), axis=1, keepdims=1
            )
            if turn >= self.rank:
                asked = e.slice(rows, -1, k, k + 1)
                row = e.where(e.less(asked, 0), row, asked)
                row.shape = shape
                by = e.reduce("ReduceMax", sure, [-1])
                chosen.append((row, seen.class_of(row, wanted), by))
            if turn < self.rank + self.count - 1:
                apart = e.less(overlap(e, seen.corners, seen.box_of(row)), SAME)
                others = e.cast(apart, np.float32)
                alive = others if alive is None else e.mul(alive, others)
        return tuple(e.concat(list(part), -1) for part in zip(*chosen, strict=True))

    def _fits(self, seen: Candidates, places: gs.Tensor, k: int) -> gs.Tensor:
        """How far each candidate is to be considered, by the place asked for: (N, candidates)."""
        e = seen.e
        place = _sides(e, places, k)
        shared = seen.meets(place)
        near = e.where(e.less(shared, SAME), e.mul(shared, _NEAR), 1.0)
        return e.where(e.less(place[0], place[2]), near, 1.0)

    def _score(
        self, seen: Candidates, row: gs.Tensor, index: gs.Tensor, box: list[gs.Tensor]
    ) -> gs.Tensor:
        e = seen.e
        if self.what == "score":
            return seen.logit(row, index)
        sides = dict(zip(PLACES, box, strict=False))
        sides["width"] = e.sub(box[2], box[0])
        sides["height"] = e.sub(box[3], box[1])
        sides["area"] = e.mul(sides["width"], sides["height"])
        return sides[self.what]

    def _require_detected(self, one: Box, case: Case) -> None:
        """Raise `TargetError` where the picture, if there is one, has no such detection."""
        if one.rank >= _MANY and _least(case, Box(one.cls, what=_COUNTED)) < one.rank:
            raise self._not_detected()
        sure = _least(case, replace(one, what=_FOUND))
        if one.at is not None and sure < NOTHING * _NEAR * TOUCHING:
            raise TargetError(f"no detection overlaps the box {_shown(one.at)}")
        if one.at is None and sure < NOTHING:
            raise self._not_detected()

    def _not_detected(self) -> TargetError:
        of = "" if self.cls == BEST else f" of class '{self.cls}'"
        return TargetError(
            f"there is no detection {self.rank}{of} in this picture; the best one is 0"
        )


def require_detections(network: Network) -> Detections | Pyramid:
    """The model's candidates.

    Raises `TargetError` with its outputs where it is no detector of a known kind.
    """
    found = find_detections(network)
    if found is None:
        obstacle = read_pyramid(network).obstacle
        if obstacle:
            raise TargetError(f"the model may detect level by level, but {obstacle}")
        made = ", ".join(f"{t.name} {t.shape}" for t in network.graph.outputs) or "none"
        raise TargetError(
            f"the model is no detector of a known kind (onnxcam.graph.detections lists them), so "
            f"it has no boxes; its outputs: {made}"
        )
    return found


def _least(case: Case, asked: Box) -> float:
    """The least that is measured of the pictures; infinite without one, when a file is made."""
    try:
        _, found, _ = case.measure(asked)
    except TargetError:
        return np.inf
    return float(found.min())


def _sides(e: Emitter, places: gs.Tensor, k: int) -> list[gs.Tensor]:
    """The corners of the k-th place, each (N, 1)."""
    place = e.squeeze(e.slice(places, -2, k, k + 1), [-2])
    return [e.slice(place, -1, side, side + 1) for side in range(4)]


def _shown(box: Place) -> str:
    return ",".join(f"{side:g}" for side in box)
