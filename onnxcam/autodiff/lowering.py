"""Operators whose derivative is that of the simpler operators they are made of.

A *lowering* `lower(e, node)` emits the node's computation from other operators and returns the
tensors that equal its outputs (one tensor, or a list with None for outputs that are never
differentiated). The walk then goes through what was emitted. There, the last tensors are the
node's own outputs, so that a derivative which reads them costs no second computation, and
whatever no derivative reads is dropped when the nodes are merged into the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.autodiff.registry import Table, derivative_of, register
from onnxcam.autodiff.walk import pull_back
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import with_tensors

Lower = Callable[[Emitter, gs.Node], gs.Tensor | Sequence[gs.Tensor | None]]


@dataclass(frozen=True)
class Lowering:
    """An operator's lowering. `wrt` are the inputs it covers, None meaning all of them."""

    lower: Lower
    wrt: tuple[int, ...] | None
    outputs: tuple[int, ...] | None = None
    ignored: tuple[int, ...] = ()
    quantizing: bool = False
    kind: str = field(default="lowering", init=False)
    table: Table = derivative_of

    def covers(self, i: int) -> bool:
        return self.wrt is None or i in self.wrt

    def within(self, table: Table) -> Lowering:
        return replace(self, table=table)

    def body(self, e: Emitter, node: gs.Node) -> list[gs.Node]:
        """What is emitted for a node, its own outputs in place of the tensors that equal them."""
        start = len(e.nodes)
        made = self.lower(e, node)
        tensors = [made] if isinstance(made, gs.Tensor) else made
        pairs = zip(tensors, node.outputs, strict=False)
        own = {t.name: y for t, y in pairs if t is not None and y.name and y.shape is not None}
        return [_renamed(each, own) for each in e.nodes[start:]]

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        body = self.body(e, node)
        seeds = {y.name: dy for y, dy in zip(node.outputs, dys, strict=True) if dy is not None}
        sources = [node.inputs[i].name for i in wanted]
        found = pull_back(e, body, seeds, dict.fromkeys(sources), self.table)
        # A tensor that is read twice has one cotangent, for both.
        return [found.pop(name, None) for name in sources]


def _renamed(node: gs.Node, own: dict[str, gs.Tensor]) -> gs.Node:
    """The node with the lowered node's own outputs in place of the tensors that equal them."""
    if not any(t.name in own for t in (*node.inputs, *node.outputs)):
        return node
    return with_tensors(
        node,
        inputs=[own.get(t.name, t) for t in node.inputs],
        outputs=[own.get(t.name, t) for t in node.outputs],
    )


def lowering(
    *ops: str,
    wrt: Iterable[int] | None = None,
    outputs: Iterable[int] | None = None,
    ignored: Iterable[int] = (),
    domain: str = "",
    quantizing: bool = False,
) -> Callable[[Lower], Lower]:
    """Register the lowering of some operators.

    `wrt` are the inputs, `outputs` the outputs that a derivative flows through (None: all);
    with respect to the inputs `ignored` it is zero; `quantizing` says that integer outputs stand
    for real numbers.
    """

    def decorated(lower: Lower) -> Lower:
        inputs = None if wrt is None else tuple(wrt)
        through = None if outputs is None else tuple(outputs)
        found = Lowering(lower, inputs, through, tuple(ignored), quantizing)
        register(found, ops, domain)
        return lower

    return decorated
