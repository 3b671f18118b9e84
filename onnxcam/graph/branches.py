"""Outputs that lie over the picture as a grid of cells: the levels of a detector's pyramid.

Files for accelerators often end where the convolutions do, with outputs (N, channels, h, w) for
every level, or channels last, or with the boxes that a cell may hold (anchors) on an axis of their
own. A *branch* is what one such output, or one of the parts that it was joined from, says of each
cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.columns import Columns, sources
from onnxcam.graph.network import Network, is_float, producer
from onnxcam.graph.picture import find_image_input

FINEST = 4
"""Pixels of a cell's side below which a map is no level of a detector, but one of pixels."""

_ORDERS = {4: ("C**", "**C"), 5: ("A**C", "AC**", "**AC")}
"""What the axes behind the batch may hold: channels, cells, and anchors."""


@dataclass(frozen=True)
class Branch:
    """Numbers of each cell of a grid: `count` of the channels, from `start` on, of every anchor.

    `order` says how the tensor's axes follow each other behind the batch, "*" being one of the
    grid's: "C**" is (N, C, h, w), where the channels of several `anchors` come one anchor after
    the other. `maker` is the operator that makes the numbers.
    """

    tensor: gs.Tensor
    order: str
    grid: tuple[int, int]
    anchors: int
    start: int
    count: int
    maker: str

    @property
    def cells(self) -> int:
        return self.grid[0] * self.grid[1]

    def through(self) -> Branch:
        """The same numbers in front of the operator that makes them, element by element."""
        node = producer(self.tensor)
        assert node is not None
        return replace(self, tensor=node.inputs[0])

    def split(self, anchors: int) -> Branch:
        """The same, its channels those of several anchors."""
        return replace(self, anchors=anchors, count=self.count // anchors)

    def part(self, start: int, count: int) -> Branch:
        """Some of the channels of every anchor."""
        return replace(self, start=self.start + start, count=count)


@dataclass(frozen=True)
class Level:
    """The branches of one grid, whose cells are `stride` pixels wide and high."""

    grid: tuple[int, int]
    stride: float
    branches: tuple[Branch, ...]


def find_levels(network: Network) -> list[Level]:
    """The grids that the outputs lie over, the finest first, those that say the same of a cell."""
    try:
        image = find_image_input(network)
    except ModelError:
        return []
    if image.height is None or image.width is None or len(image.size) != 2:
        return []
    side = (image.height, image.width)
    maps = [t for t in network.graph.outputs if is_float(t) and len(t.shape or []) in _ORDERS]
    best: list[Level] = []
    for first in range(max(map(len, _ORDERS.values()))):
        found: dict[tuple[int, int], list[Branch]] = {}
        for tensor in maps:
            orders = _ORDERS[len(tensor.shape)]
            order = orders[min(first, len(orders) - 1)]
            grid = _grid(tensor, order, side)
            if grid is not None:
                found.setdefault(grid, []).extend(_branches(network, tensor, order, grid))
        levels = [
            Level(grid, side[0] / grid[0], tuple(found[grid])) for grid in sorted(found)[::-1]
        ]
        best = max(best, _alike(levels), key=len)
    return best


def _alike(levels: list[Level]) -> list[Level]:
    """Those with the most branches: masks, say, come at one size only."""
    most = max((len(level.branches) for level in levels), default=0)
    return [level for level in levels if len(level.branches) == most]


def _grid(tensor: gs.Tensor, order: str, side: tuple[int, int]) -> tuple[int, int] | None:
    """Height and width of a map whose cells are squares of whole pixels; None of another one."""
    shape = tensor.shape[1:]
    if not all(isinstance(dim, int) for dim in shape):
        return None
    at = order.index("*")
    height, width = shape[at], shape[at + 1]
    if not height or not width or side[0] % height or side[1] % width:
        return None
    stride = side[0] // height
    return (height, width) if stride == side[1] // width and stride >= FINEST else None


def _branches(
    network: Network, tensor: gs.Tensor, order: str, grid: tuple[int, int]
) -> Iterator[Branch]:
    """The parts that an output was joined from, read where they are made; else the output."""
    whole = Columns.of(tensor, 1 + order.index("C"))
    parts = sources(network, whole)
    cells = grid[0] * grid[1]
    for part in parts if all(_lies_alike(part, cells) for part in parts) else [whole]:
        own = "C**" if part.axis == 1 else "**C"
        yield Branch(
            part.tensor,
            own if len(part.tensor.shape) == 4 else order,
            grid,
            tensor.shape[1 + order.index("A")] if "A" in order else 1,
            part.start,
            part.count,
            part.maker if part is not whole or len(parts) > 1 else parts[0].maker,
        )


def _lies_alike(part: Columns, cells: int) -> bool:
    """Whether a part is itself a map (N, C, h, w) or (N, h, w, C) of those cells."""
    shape = part.tensor.shape
    if not part.whole or len(shape) != 4 or part.axis not in (1, 3):
        return False
    height, width = (dim for axis, dim in enumerate(shape) if axis not in (0, part.axis))
    return isinstance(height, int) and isinstance(width, int) and height * width == cells
