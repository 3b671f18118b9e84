"""A detector whose levels are outputs of their own, as accelerators and NPUs take them.

Known are, at every level alike, channels first or last:

- distances to the four sides as distributions (distribution focal loss, arXiv:2006.04388), 4 x 8,
  16 or 17 channels, beside a score a class: YOLOv6, v8 to 11, PP-YOLOE, NanoDet; joined, too;
- 4 channels beside scores and objectness: YOLOX; 4 distances beside scores: FCOS;
- 3 (5 + C) channels, or anchors on an axis of their own: YOLOv3, v5, v7;
- 4 channels an anchor beside C channels an anchor: SSD.

The sizes of anchors are not in such files: of the last two the boxes stay unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import permutations

import onnx_graphsurgeon as gs

from onnxcam.graph.branches import Branch, Level, find_levels
from onnxcam.graph.columns import upstream
from onnxcam.graph.network import Network, constant, once, producer

BINS = (8, 16, 17)
"""Lengths of the distributions of distances that are in use."""

_ACTIVATED = {"Sigmoid": "sigmoid", "HardSigmoid": "sigmoid", "QLinearSigmoid": "sigmoid"}
_ACTIVATED |= {"Softmax": "softmax"}
_LENGTHS = {"Relu", "Exp", "Softplus"}
_SUMMARIES = {"Clip", "ReduceSum", "ReduceMax", "Min", "Max"}
_MOST_ANCHORS = 9
_NEAR = 6

_BOX_NAMES = re.compile(r"box|reg|loc|dist|cv2\.\d", re.IGNORECASE)
_SCORE_NAMES = re.compile(r"cls|class|score|conf|prob|cv3\.\d", re.IGNORECASE)


@dataclass(frozen=True)
class Heads:
    """What one level says: of every anchor of every cell the classes' scores, perhaps an
    objectness, and the box; None where the file does not say what its numbers mean."""

    level: Level
    scores: Branch
    objectness: Branch | None
    boxes: Branch | None


@dataclass(frozen=True)
class Pyramid:
    """A detector's levels, the finest first.

    `decoding` makes boxes of the numbers for them: "distances", distributions of the distances from
    a cell's middle to the sides, in strides; "sides", these distances; "centre", an offset of the
    centre from the cell's corner and the logarithms of width and height, in strides; or it is None,
    and the boxes are unknown. `kind` says what makes probabilities of scores, in the file
    or behind it: "sigmoid" or "softmax".
    """

    heads: tuple[Heads, ...]
    decoding: str | None
    kind: str
    background: int | None = None

    @property
    def classes(self) -> int:
        return self.heads[0].scores.count

    @property
    def tensors(self) -> list[gs.Tensor]:
        """What scores and boxes are read from."""
        all_ = [b for one in self.heads for b in (one.scores, one.objectness, one.boxes)]
        return list({b.tensor.name: b.tensor for b in all_ if b is not None}.values())


@dataclass(frozen=True)
class Reading:
    """What the levels were read as; where that is nothing, `obstacle` says what is ambiguous."""

    pyramid: Pyramid | None = None
    obstacle: str = ""


@once
def read_pyramid(network: Network) -> Reading:
    """What the model detects level by level."""
    levels = find_levels(network)
    if len(levels) < 2:
        return Reading()
    if len(levels[0].branches) == 1:
        return _with_anchors(levels)
    return _by_branches(network, levels)


def _with_anchors(levels: list[Level]) -> Reading:
    """One branch a level, of every anchor a box, objectness and classes."""
    branches = [level.branches[0] for level in levels]
    if any(_shape(one) != _shape(branches[0]) for one in branches):
        return Reading()
    if "A" not in branches[0].order:
        if branches[0].count % 3 or not all(_is_head(one) for one in branches):
            return Reading()
        branches = [one.split(3) for one in branches]
    if branches[0].count < 6:
        return Reading()
    heads = tuple(
        Heads(level, one.part(5, one.count - 5), one.part(4, 1), None)
        for level, one in zip(levels, branches, strict=True)
    )
    return Reading(Pyramid(heads, None, "sigmoid"))


def _shape(branch: Branch) -> tuple[str, int, int]:
    return branch.order, branch.anchors, branch.count


def _is_head(branch: Branch) -> bool:
    """Whether a 1x1 convolution makes a map, as the last one of a detector does."""
    node = producer(branch.tensor)
    if node is not None and node.op in _ACTIVATED:
        node = producer(node.inputs[0])
    if node is None or node.op not in ("Conv", "QLinearConv"):
        return False
    weights = node.inputs[3 if node.op == "QLinearConv" else 1]
    stored = constant(weights)
    shape = weights.shape if stored is None else stored.shape
    return shape is not None and list(shape[2:]) == [1, 1]


@dataclass(frozen=True)
class _Roles:
    """Which of a level's branches are what, by their numbers, and the anchors of every level."""

    boxes: int
    scores: int
    objectness: int | None
    anchors: tuple[int, ...]
    bins: int


def _by_branches(network: Network, levels: list[Level]) -> Reading:
    levels = [Level(one.grid, one.stride, _telling(one)) for one in levels]
    count = len(levels[0].branches)
    if count < 2 or any(len(one.branches) != count for one in levels):
        return Reading()
    fitting = [
        roles
        for boxes, scores in permutations(range(count), 2)
        for roles in _roles(levels, boxes, scores)
    ]
    for prefer in (_named_right, _activated_right, _of_distances, _with_objectness):
        preferred = [roles for roles in fitting if prefer(network, levels, roles)]
        fitting = preferred or fitting
    if not fitting:
        return Reading()
    if len(fitting) > 1:
        widths = ", ".join(str(branch.count) for branch in levels[0].branches)
        return Reading(
            obstacle=f"which of the {widths} channels of its cells are boxes and which are scores "
            f"is ambiguous; name its outputs so (box, cls), or export it with one table"
        )
    return _read(levels, fitting[0])


def _telling(level: Level) -> tuple[Branch, ...]:
    """The branches but for sums of others, which some exporters add."""
    return tuple(b for b in level.branches if b.count > 1 or b.maker not in _SUMMARIES)


def _roles(levels: list[Level], boxes: int, scores: int) -> list[_Roles]:
    """The roles that these two branches may have: none, or one."""
    widths = [level.branches[boxes].count for level in levels]
    bins, anchors = 1, tuple(width // 4 for width in widths)
    if any(width % 4 or not width for width in widths):
        return []
    if set(widths) & {4 * bins for bins in BINS}:
        if len(set(widths)) > 1:
            return []
        bins, anchors = anchors[0], (1,) * len(levels)
    counts = [level.branches[scores].count for level in levels]
    if max(anchors) > _MOST_ANCHORS or any(n % a for n, a in zip(counts, anchors, strict=True)):
        return []
    if len({n // a for n, a in zip(counts, anchors, strict=True)}) > 1:
        return []
    rest = [k for k in range(len(levels[0].branches)) if k not in (boxes, scores)]
    sure = [
        k
        for k in rest
        if all(one.branches[k].count == a for one, a in zip(levels, anchors, strict=True))
    ]
    return [_Roles(boxes, scores, sure[0] if sure else None, anchors, bins)]


def _named_right(network: Network, levels: list[Level], roles: _Roles) -> bool:
    boxes, scores = (_names(network, levels, k) for k in (roles.boxes, roles.scores))
    return bool(_BOX_NAMES.search(boxes)) and bool(_SCORE_NAMES.search(scores))


def _names(network: Network, levels: list[Level], k: int) -> str:
    """Names of a branch at its finest level: of tensor, node, and framework modules."""
    tensor = levels[0].branches[k].tensor
    node = producer(tensor)
    behind = [t.name for other in tensor.outputs for t in other.outputs]
    return " ".join(
        [tensor.name, node.name if node else "", *behind, *network.scopes.get(tensor.name, ())]
    )


def _activated_right(network: Network, levels: list[Level], roles: _Roles) -> bool:
    boxes, scores = (levels[0].branches[k].maker for k in (roles.boxes, roles.scores))
    return scores in _ACTIVATED and boxes not in _ACTIVATED


def _of_distances(network: Network, levels: list[Level], roles: _Roles) -> bool:
    return roles.bins > 1


def _with_objectness(network: Network, levels: list[Level], roles: _Roles) -> bool:
    return roles.objectness is not None


def _read(levels: list[Level], roles: _Roles) -> Reading:
    """The pyramid of these roles, unless what follows the scores cannot be told."""
    scores = levels[0].branches[roles.scores]
    kind = _ACTIVATED.get(scores.maker)
    several = max(roles.anchors) > 1
    if kind is None and (roles.objectness is not None or not several):
        kind = "sigmoid"
    if kind is None and len(set(roles.anchors)) > 1:  # SSD alone has more of them on some levels
        kind = "softmax"
    if kind is None:
        return Reading(
            obstacle="whether a Sigmoid or a Softmax follows its scores is not in the file; "
            "export it with that"
        )
    decoding = None if several else _decoding(levels, roles)
    heads = []
    for level, anchors in zip(levels, roles.anchors, strict=True):
        sure = None if roles.objectness is None else level.branches[roles.objectness]
        heads.append(
            Heads(
                level,
                level.branches[roles.scores].split(anchors),
                sure and sure.split(anchors),
                level.branches[roles.boxes] if decoding else None,
            )
        )
    background = 0 if kind == "softmax" else None
    return Reading(Pyramid(tuple(heads), decoding, kind, background))


def _decoding(levels: list[Level], roles: _Roles) -> str | None:
    if roles.bins > 1:
        return "distances"
    boxes = levels[0].branches[roles.boxes]
    near = [node.op for _, node in zip(range(_NEAR), upstream(boxes.tensor), strict=False)]
    if boxes.maker in _LENGTHS or "Softmax" in near:
        return "sides"
    return "centre" if roles.objectness is not None and boxes.maker == "Conv" else None


def logits_of(branch: Branch) -> Branch | None:
    """The logits of scores, in front of their Sigmoid or Softmax; None behind a HardSigmoid."""
    if branch.maker == "HardSigmoid":
        return None
    return branch.through() if branch.maker in _ACTIVATED else branch
