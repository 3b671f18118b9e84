"""Regions of a segmentation: why are these positions this class?"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import OneHot, cotangent_dtype
from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.errors import AbsentError, TargetError
from onnxcam.frame import Frame
from onnxcam.graph.dense_head import DenseHead
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import is_float
from onnxcam.images import read_image
from onnxcam.targets.base import Case, Choice, Explained, seeds_of
from onnxcam.targets.classes import BEST, CLASS_INPUT, numbered
from onnxcam.targets.offer import require_dense_head
from onnxcam.targets.scores import real

REGION_INPUT = "cam_region"
BACKGROUND = 0

_LENGTHS = ("cam_depth", "cam_height", "cam_width")
_PREDICTED = -1.0
"""In `cam_region`: no region of one's own, but where the class is the predicted one."""

Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Region:
    """The mean of a class's scores over a region of the segmentation (Seg-Grad-CAM, Vinogradova
    et al. 2020, arXiv:2002.11434, which takes the sum).

    `cls` is a number or label; `BEST`, the default, is the class predicted at the most positions,
    background (class 0) aside. The region is a `box` (x1, y1, x2, y2) in the picture's pixels, a
    `mask` of the picture's size (an array, not 0 inside, or the path of a picture), or else where
    the class is the predicted one. A map of one channel has two classes, 0 where it is negative,
    with the score -z, and 1, with the score z.
    """

    cls: int | str = BEST
    box: Place | None = None
    mask: np.ndarray | str | os.PathLike[str] | None = field(default=None, compare=False)
    output: str | None = None
    where: str = field(default="", compare=False)

    is_placed = True

    def __post_init__(self) -> None:
        if self.box is not None and self.mask is not None:
            raise TargetError("give a region as a box or as a mask, not both")
        if self.box is not None:
            x1, y1, x2, y2 = self.box
            if not (x1 < x2 and y1 < y2):
                raise TargetError(
                    f"the box {_shown(self.box)} is empty; give x1,y1,x2,y2, top left first"
                )

    @property
    def structure(self) -> Hashable:
        shape = self.mask.shape if isinstance(self.mask, np.ndarray) else None
        return (Region, self.output, shape)

    def settled(self, case: Case) -> Region:
        head = require_dense_head(case.network, self.output)
        index = case.index_of(self.cls) if isinstance(self.cls, str) else int(self.cls)
        if index != BEST and not 0 <= index < head.classes:
            raise TargetError(
                f"class {index} does not exist; the model has classes 0 to {head.classes - 1}"
            )
        mask = self._on_input(case.frame)
        if mask is not None and not mask.any():
            raise AbsentError(f"the region{self._where()} holds nothing that the model sees")
        return replace(self, cls=index, box=None, mask=mask, where=self._where())

    def emit(self, e: Emitter) -> Explained:
        head = require_dense_head(e.network, self.output)
        scores = _Map.of(e, head)
        wanted = gs.Variable(CLASS_INPUT, np.dtype(np.int64), ["cam_batch", 1])
        lengths = _LENGTHS[-len(head.features.spatial) :]
        asked = gs.Variable(REGION_INPUT, np.dtype(np.float32), ["cam_batch", *lengths])
        predicted = scores.predicted()
        index = e.where(e.less(wanted, 0), scores.commonest(predicted), wanted)
        index.shape = [scores.z.shape[0], 1]
        own = e.cast(e.equal(predicted, scores.by_class(index)), np.float32)
        weights = scores.resized(asked)
        inside = e.where(e.less(weights, 0), own, weights)
        inside.shape = list(own.shape)
        axes = range(1 - len(own.shape), 0)
        size = e.reduce("ReduceSum", inside, axes)
        share = e.div(inside, e.op("Max", size, e.constant(1, np.float32), shape=list(size.shape)))
        counted = e.mul(scores.counting(index), e.cast(share, scores.z.dtype))
        score = e.reduce("ReduceSum", e.mul(scores.z, counted), axes)
        score = e.cast(e.reshape(score, [score.shape[0], 1]), np.float32)
        seeds: dict[str, Cotangent] = {head.logits.name: counted}
        return Explained(
            (Choice(wanted, self._class), Choice(asked, self._weights(len(lengths)))),
            index,
            score,
            None,
            seeds if is_float(head.logits) else seeds_of(e, score),
            {REGION_INPUT: e.squeeze(inside, [head.features.channel])},
        )

    def feeds(self) -> dict[str, np.ndarray]:
        given = {CLASS_INPUT: self._class}
        return given if self.mask is None else given | {REGION_INPUT: self._weights()}

    def alone(self, n: int, index: np.ndarray) -> Region:
        return replace(self, cls=int(index[0]))

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        return f"{names(index) or f'class {index}'}{self.where}"

    def key(self, k: int, index: int) -> str:
        return f"{numbered(index)}{self.where}"

    def _where(self) -> str:
        if self.box is not None:
            return f" in {_shown(self.box)}"
        if self.mask is None:
            return ""
        return " in mask" if isinstance(self.mask, np.ndarray) else f" in {Path(self.mask).stem}"

    def _on_input(self, frame: Frame | None) -> np.ndarray | None:
        """The region on the input's pixels; None for where the class is predicted."""
        if self.box is not None:
            if frame is None:
                raise TargetError("a box needs a picture; give a mask of the input's size")
            return _inside(frame.to_input(np.array(self.box)), frame.input)
        if self.mask is None:
            return None
        if isinstance(self.mask, np.ndarray):
            mask = np.asarray(self.mask) != 0
        else:
            mask = read_image(self.mask).any(axis=2)
        if frame is None:
            return mask
        if mask.shape != frame.source:
            raise AbsentError(
                f"the mask is of a picture of {_by(mask.shape)} (rows x columns), and this one is "
                f"{_by(frame.source)}"
            )
        return frame.mask_to_input(mask)

    @property
    def _class(self) -> np.ndarray:
        return np.array([[self.cls]], np.int64)

    def _weights(self, rank: int = 0) -> np.ndarray:
        if isinstance(self.mask, np.ndarray):
            return self.mask[None].astype(np.float32)
        return np.full([1] * (rank + 1), _PREDICTED, np.float32)


@dataclass(frozen=True)
class _Map:
    """Class scores at every position, in the layout that the model gives them in.

    `z` are real numbers, (N, C, *size) or (N, *size, C).
    """

    e: Emitter
    head: DenseHead
    z: gs.Tensor

    @classmethod
    def of(cls, e: Emitter, head: DenseHead) -> _Map:
        z = real(e, head.logits)
        return cls(e, head, e.cast(z, cotangent_dtype(z)))

    @property
    def _channel(self) -> int:
        return self.head.features.channel

    @property
    def _one_channel(self) -> list[int | str | None]:
        shape = list(self.z.shape)
        shape[self._channel] = 1
        return shape

    def predicted(self) -> gs.Tensor:
        """The class of the highest score at every position, int64, one channel."""
        e = self.e
        if self.head.channels == 1:
            return e.sub(1, e.cast(e.less(self.z, 0), np.int64))
        axis = self._channel % len(self.z.shape)
        dtype = np.dtype(np.int64)
        return e.op("ArgMax", self.z, shape=self._one_channel, dtype=dtype, axis=axis, keepdims=1)

    def commonest(self, predicted: gs.Tensor) -> gs.Tensor:
        """The class predicted at the most positions, background aside, (N, 1)."""
        e, head = self.e, self.head
        numbers = np.arange(head.classes)
        shape = [1] * len(self.z.shape)
        shape[self._channel] = head.classes
        hits = e.equal(predicted, e.constant(numbers.reshape(shape), np.int64))
        counts = e.reduce("ReduceSum", e.cast(hits, np.float32), self.head.features.spatial)
        flat = e.reshape(counts, [self.z.shape[0], head.classes])
        others = e.sub(flat, e.constant([np.where(numbers == BACKGROUND, np.inf, 0)], np.float32))
        return e.op(
            "ArgMax", others, shape=[self.z.shape[0], 1], dtype=np.dtype(np.int64),
            axis=1, keepdims=1,
        )  # fmt: skip

    def by_class(self, index: gs.Tensor) -> gs.Tensor:
        """(N, 1) or (N, C) with length 1 along the spatial axes."""
        rank = len(self.z.shape)
        return self.e.unsqueeze(index, [axis % rank for axis in self.head.features.spatial])

    def counting(self, index: gs.Tensor) -> gs.Tensor:
        """1 for the class and 0 for the others; of one channel 1 for class 1, -1 for class 0."""
        e, dtype = self.e, self.z.dtype
        if self.head.channels == 1:
            return self.by_class(e.sub(e.mul(e.cast(index, dtype), 2), 1))
        flat = e.squeeze(index, [1])
        return self.by_class(OneHot(flat, self.head.channels, np.dtype(dtype)).dense(e))

    def resized(self, region: gs.Tensor) -> gs.Tensor:
        """A region (N, *any size) at the map's size, nearest, with one channel in its place."""
        e, spatial = self.e, self.head.features.spatial
        region = e.unsqueeze(region, [1])
        sizes = [e.dim(region, -len(region.shape)), e.ints(1), *(e.dim(self.z, a) for a in spatial)]
        shape = [region.shape[0], 1, *(self.z.shape[axis] for axis in spatial)]
        unused = [gs.Variable.empty()] * 2
        if e.opset < 13:  # they could not be left out
            unused = [e.constant([], np.float32)] * 2
        found = e.op("Resize", region, *unused, e.concat(sizes, -1), shape=shape, mode="nearest")
        return found if self._channel != -1 else e.unsqueeze(e.squeeze(found, [1]), [-1])


def _inside(box: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The pixels that a box touches, bool (rows, columns)."""
    x1, y1, x2, y2 = box
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])
    return np.asarray((rows + 1 > y1) & (rows < y2) & (columns + 1 > x1) & (columns < x2))


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in size)


def _shown(box: Place) -> str:
    return ",".join(f"{value:g}" for value in box)
