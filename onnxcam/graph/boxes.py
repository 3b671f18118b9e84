"""Parts of a tensor: along some of its axes only some rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from onnxcam.graph.axes import Run, matching_axes
from onnxcam.graph.dims import Shape

Box = Mapping[int, tuple[int, ...]]
"""Rows that are needed, ascending, of each axis on which not all are; empty for all of a tensor."""

WHOLE: Box = {}

_WORTH_JOINING = 1.25
"""How much more two parts may be together than apart: each has operators of its own."""

_MOST_ELEMENTS = 2**20


def box(rows: Mapping[int, Iterable[int]], shape: Shape) -> Box:
    """Rows along axes as a box: in order, without the axes of which all are needed."""
    found = {axis: tuple(sorted(set(some))) for axis, some in rows.items()}
    return {axis: some for axis, some in found.items() if len(some) != shape[axis]}


def share(part: Box, shape: Shape) -> float:
    """How much of a tensor a box is."""
    lengths = (shape[axis] for axis in part)
    return math.prod(
        len(rows) / length
        for rows, length in zip(part.values(), lengths, strict=True)
        if isinstance(length, int)
    )


def joined(parts: Sequence[Box], shape: Shape) -> list[Box]:
    """As few boxes that hold all of those, apart only where that makes them much smaller."""
    apart: list[Box] = []
    for part in parts:
        grown = part
        while (mate := _mate(grown, apart, shape)) is not None:
            apart.remove(mate)
            grown = _around(mate, grown, shape)
        apart.append(grown)
    return apart if sum(share(part, shape) for part in apart) < 1 else [WHOLE]


def _mate(part: Box, others: Sequence[Box], shape: Shape) -> Box | None:
    for other in others:
        alone = share(part, shape) + share(other, shape)
        if share(_around(part, other, shape), shape) <= _WORTH_JOINING * alone:
            return other
    return None


def _around(a: Box, b: Box, shape: Shape) -> Box:
    return box({axis: {*a[axis], *b[axis]} for axis in a if axis in b}, shape)


def holds(outer: Box, inner: Box) -> bool:
    """Whether a box lies in another one."""
    return all(axis in inner and set(inner[axis]) <= set(rows) for axis, rows in outer.items())


def before_reshape(part: Box, x: Shape, y: Shape) -> Box | None:
    """The box of x that becomes a box of y when x is reshaped; None where none does."""
    found: dict[int, tuple[int, ...]] = {}
    for in_x, in_y in _matched(x, y):
        if not any(axis in part for axis in in_y):
            continue
        lengths_x, lengths_y = [x[axis] for axis in in_x], [y[axis] for axis in in_y]
        rows = _unfolded([part.get(axis) for axis in in_y], lengths_x, lengths_y)
        if rows is None:
            return None
        found.update(zip(in_x, rows, strict=True))
    return box(found, x)


def _matched(x: Shape, y: Shape) -> list[Run]:
    """As `matching_axes`, with what is equal at the end set apart first: lengths in front of it
    may be unknown."""
    same = 0
    while same < min(len(x), len(y)) and x[-1 - same] == y[-1 - same] is not None:
        same += 1
    runs = matching_axes(x[: len(x) - same], y[: len(y) - same])
    return [*runs, *(([len(x) - k], [len(y) - k]) for k in range(same, 0, -1))]


def _unfolded(
    rows: Sequence[tuple[int, ...] | None], x: Shape, y: Shape
) -> list[tuple[int, ...]] | None:
    """The rows of x's axes, in which rows of y's axes lie, all elements in the same order."""
    lengths_x = [length for length in x if isinstance(length, int)]
    lengths_y = [length for length in y if isinstance(length, int)]
    count = math.prod(lengths_x)
    if len(lengths_x) < len(x) or len(lengths_y) < len(y) or count != math.prod(lengths_y):
        return None
    if count > _MOST_ELEMENTS:
        return None
    chosen = [range(n) if some is None else some for some, n in zip(rows, lengths_y, strict=True)]
    places = np.arange(count).reshape(lengths_y)[np.ix_(*chosen)]
    found = [tuple(np.unique(one).tolist()) for one in np.unravel_index(places.ravel(), lengths_x)]
    return found if math.prod(map(len, found)) == places.size else None
