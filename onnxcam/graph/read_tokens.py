"""Which tokens of a transformer its head reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Dim, is_static
from onnxcam.graph.network import Network, operands
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.plain import plain_op
from onnxcam.graph.roles import Roles
from onnxcam.graph.slices import bounds_along
from onnxcam.graph.stated_grid import Grid


@dataclass(frozen=True)
class Tokens:
    """A row of tokens: `prefix` of them, those that tile the picture as `grid` says, `suffix`."""

    length: int
    grid: Grid
    prefix: int
    suffix: int = 0


@dataclass(frozen=True)
class _Span:
    """Tokens `start` to `stop` of all, along a tensor's `axis`."""

    axis: int
    start: int
    stop: int

    @property
    def rows(self) -> range:
        return range(self.start, self.stop)


def tokens_read(
    network: Network,
    path: Sequence[gs.Node],
    roles: dict[str, Roles],
    attention: gs.Node,
    tokens: Tokens,
) -> tuple[int, ...]:
    """The tokens that go into the score behind an attention: one, several, or all of them.

    They are those that pass where the row of tokens ends for good (a linear layer may flatten it
    and put it up again): at a Gather or Slice, what it takes, at a mean or anything else, all that
    have come there.
    """
    batch = network.tensors[find_image_input(network).name].shape[0]

    def span_of(tensor: gs.Tensor) -> _Span | None:
        return _span(tensor, roles, tokens, batch)

    used = {t.name for node in path for t in operands(node)}
    restored: set[str] = set()
    for node in reversed(path):
        if any(t.name in restored or span_of(t) is not None for t in node.outputs):
            restored.update(t.name for t in operands(node))
    behind = {t.name for t in attention.outputs}
    spans: dict[str, _Span] = {}
    found: set[int] = set()
    for node in path:
        if not any(t.name in behind for t in operands(node)):
            continue
        behind.update(t.name for t in node.outputs)
        spans.update({t.name: span for t in node.inputs if (span := span_of(t)) is not None})
        row = next((t for t in node.inputs if t.name in spans and t.name in behind), None)
        for k, output in enumerate(node.outputs):
            if row is None or len(output.shape or []) < 2 or output.name not in used:
                continue
            if _is_alongside(output, row, spans[row.name]):  # its channels may be gone
                spans[output.name] = spans[row.name]
            elif span_of(output) is None and output.name not in restored:
                found.update(_taken(network, node, k, row, spans[row.name]))
    return tuple(sorted(found)) or tuple(range(tokens.length))


def _span(tensor: gs.Tensor, roles: dict[str, Roles], tokens: Tokens, batch: Dim) -> _Span | None:
    """The tokens that a tensor holds; None where it is no row of them."""
    known, shape = roles.get(tensor.name), tensor.shape
    if shape is None or (known is not None and len(known.letters) != len(shape)):
        return None
    axis, start = 1, 0
    if known is None:
        if len(shape) != 3 or list(shape[:2]) != [batch, tokens.length]:
            return None
    elif "T" in known.letters:
        axis = known.letters.index("T")
        if known.grid == tokens.grid:
            start = tokens.prefix - known.prefix
    else:
        return None
    length = shape[axis]
    if not isinstance(length, int) or start < 0 or start + length > tokens.length:
        return None
    return _Span(axis, start, start + length)


def _is_alongside(y: gs.Tensor, x: gs.Tensor, span: _Span) -> bool:
    """Whether y has as many tokens as x in the same place."""
    return len(y.shape) == len(x.shape) and y.shape[span.axis] == x.shape[span.axis]


def _taken(
    network: Network, node: gs.Node, output: int, tensor: gs.Tensor, span: _Span
) -> Iterable[int]:
    """The tokens that go into one of a node's outputs."""
    op, rank = plain_op(node), len(tensor.shape)
    if op == "Gather" and node.attrs.get("axis", 0) % rank == span.axis:
        index = network.value(node.inputs[1])
        if index is not None:
            return [span.rows[int(one)] for one in index.flat]
    if op == "Split" and node.attrs.get("axis", 0) % rank == span.axis:
        lengths = [t.shape[span.axis] for t in node.outputs if t.shape is not None]
        if len(lengths) == len(node.outputs) and is_static(lengths):
            start = sum(lengths[:output])
            return span.rows[start : start + lengths[output]]
    if op == "Slice":
        bounds = bounds_along(network, node, span.axis, rank)
        return span.rows if bounds.start is None else span.rows[bounds]
    return span.rows
