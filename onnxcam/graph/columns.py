"""Columns of a table, followed back to where they are computed.

A detector's answer is a table: a row a candidate, columns for its box and its scores. They are put
together at the very end, and what a column means is told by what it is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import onnx_graphsurgeon as gs

from onnxcam.graph.network import Network, producer
from onnxcam.graph.plain import plain_inputs, plain_op
from onnxcam.graph.quantized import ROUNDINGS


@dataclass(frozen=True)
class Columns:
    """`count` columns of a table from `start` on; `axis` is the tensor's axis of columns.

    `whole` says that the tensor's rows are the table's: it was not put together from parts, and
    not laid out anew, behind the tensor.
    """

    tensor: gs.Tensor
    axis: int
    start: int
    count: int
    whole: bool = True

    @classmethod
    def of(cls, tensor: gs.Tensor, axis: int) -> Columns:
        """All columns along an axis, whose length must be known."""
        return cls(tensor, axis, 0, int(tensor.shape[axis]))

    @property
    def row_axis(self) -> int:
        """Axis of the rows of a table (N, rows, columns) or (N, columns, rows)."""
        return 3 - self.axis

    @property
    def is_table(self) -> bool:
        """Whether these can be read as rows and columns of each picture."""
        return self.whole and len(self.tensor.shape) == 3 and self.axis > 0

    @property
    def maker(self) -> str:
        """The operator that makes them; "" for an input or a weight."""
        node = producer(self.tensor)
        return "" if node is None else plain_op(node)

    def part(self, start: int, count: int) -> Columns:
        """Some of these columns."""
        return replace(self, start=self.start + start, count=count)

    def through(self) -> Columns:
        """The same columns of what the tensor is made of element by element."""
        node = producer(self.tensor)
        assert node is not None
        return replace(self, tensor=node.inputs[0])


def sources(network: Network, columns: Columns) -> list[Columns]:
    """What columns are put together from, left to right: as far back as they stay columns.

    Where rows are joined, only the first part is followed: the others are made alike.
    """
    found: list[Columns] = []
    waiting = [columns]
    while waiting:
        one = waiting.pop(0)
        before = _before(network, one)
        if before is None:
            found.append(one)
        else:
            waiting = [*before, *waiting]
    return found


def row_parts(network: Network, columns: Columns) -> list[Columns]:
    """The parts whose rows were joined, one for each level of a pyramid; or just the columns."""
    while True:
        node = producer(columns.tensor)
        joins = node is not None and plain_op(node) == "Concat"
        if node is not None and joins and _axis(node, columns) != columns.axis:
            return [replace(columns, tensor=part, whole=False) for part in plain_inputs(node)]
        before = _before(network, columns)
        if before is None or len(before) != 1:
            return [columns]
        columns = before[0]


def _before(network: Network, columns: Columns) -> list[Columns] | None:
    """One step back; None where the columns are computed there."""
    node = producer(columns.tensor)
    if node is None or any(t.shape is None for t in (*node.inputs[:1], *node.outputs)):
        return None
    if node.op in ("Identity", "Cast"):
        return [columns.through()]
    if node.op in ROUNDINGS and producer(node.inputs[0]) is not None:
        return [columns.through()]
    if node.op == "Transpose":
        perm = node.attrs.get("perm", range(len(columns.tensor.shape))[::-1])
        return [replace(columns, tensor=node.inputs[0], axis=int(perm[columns.axis]))]
    if plain_op(node) == "Concat":
        if _axis(node, columns) != columns.axis:
            return [replace(columns, tensor=plain_inputs(node)[0], whole=False)]
        return _joined(node, columns)
    if node.op in ("Slice", "Split"):
        offset = _offset(network, node, columns)
        return None if offset is None else [columns.through().part(offset, columns.count)]
    if node.op in ("Reshape", "Flatten"):
        return _laid_out(node, columns)
    return None


def _axis(node: gs.Node, columns: Columns) -> int:
    return int(node.attrs.get("axis", 0) % len(columns.tensor.shape))


def _joined(node: gs.Node, columns: Columns) -> list[Columns] | None:
    """The parts of a Concat that the columns lie in."""
    parts = plain_inputs(node)
    dims = [t.shape[columns.axis] for t in parts if t.shape is not None]
    widths = [width for width in dims if isinstance(width, int)]
    if len(widths) < len(parts):
        return None
    found, first = [], 0
    for tensor, width in zip(parts, widths, strict=True):
        start = max(columns.start, first)
        stop = min(columns.start + columns.count, first + width)
        if start < stop:
            found.append(replace(columns, tensor=tensor, start=start - first, count=stop - start))
        first += width
    return found


def _offset(network: Network, node: gs.Node, columns: Columns) -> int | None:
    """Where the columns of a part begin in the whole; None where rows were chosen, too."""
    if node.op == "Split":
        if _axis(node, columns) != columns.axis:
            return None
        at = [t.name for t in node.outputs].index(columns.tensor.name)
        widths = [t.shape[columns.axis] for t in node.outputs[:at]]
        return sum(widths) if all(isinstance(width, int) for width in widths) else None
    rank = len(columns.tensor.shape)
    given = [network.value(t) if t.name else None for t in node.inputs[1:]]
    starts, _, axes, steps = [*given, None, None, None][:4]
    if starts is None:
        return None
    along = range(len(starts)) if axes is None else axes.tolist()
    step = 1 if steps is None else int(steps[0])
    if [axis % rank for axis in along] != [columns.axis] or step != 1:
        return None
    width = node.inputs[0].shape[columns.axis]
    start = int(starts[0])
    if start >= 0:
        return start
    return start + width if isinstance(width, int) else None


def _laid_out(node: gs.Node, columns: Columns) -> list[Columns] | None:
    """Through a Reshape that leaves the columns alone: last, or behind the same axes."""
    x, y = list(node.inputs[0].shape), list(columns.tensor.shape)
    axis = columns.axis
    if axis == len(y) - 1 and x and isinstance(x[-1], int) and x[-1] == y[-1]:
        return [replace(columns, tensor=node.inputs[0], axis=len(x) - 1, whole=False)]
    same = len(x) > axis and isinstance(x[axis], int) and x[axis] == y[axis]
    if same and axis == 1:
        return [replace(columns, tensor=node.inputs[0], whole=False)]
    return None


def upstream(tensor: gs.Tensor) -> Iterator[gs.Node]:
    """All nodes that a tensor is made by, each once, the nearest first."""
    seen: set[int] = set()
    waiting = [producer(tensor)]
    for node in waiting:
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(producer(t) for t in node.inputs)
