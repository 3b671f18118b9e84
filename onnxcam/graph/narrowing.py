"""Only what is read: a part of a model in which rows that nobody reads are not worked out.

A vision transformer's head reads the class token. Of the last block's many tokens, then, only that
one is needed behind the attention, and one query in it; keys and values are needed of all. What
is needed is followed backwards, as boxes, and what works row by row is written down for those.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.graph.boxes import WHOLE, Box, joined, share
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.needed_rows import PRODUCTS, TAKES, needs
from onnxcam.graph.network import Network, constant, is_float
from onnxcam.graph.projections import Projection, few_queries
from onnxcam.graph.protos import bodies_of
from onnxcam.graph.row_writer import Part, RowWriter


def narrow(e: Emitter, model: onnx.ModelProto) -> dict[str, float]:
    """Leave out of a part of the network what no output of it needs.

    `model` is made of nodes of the network and of those that `e` has emitted, under the same
    names. Its outputs stay the same numbers. Where no matrix product becomes smaller nothing
    changes: runtimes fuse what they know.
    Returns how much of each tensor is still made, by name; nothing where all of all is.
    """
    known = [*e.network.graph.nodes, *e.nodes]
    made = {tensor.name: node for node in known for tensor in node.outputs if tensor.name}
    steps = [
        (proto, next((made[name] for name in proto.output if name in made), None))
        for proto in model.graph.node
    ]
    ops = {node.op for _, node in steps if node is not None}
    if ops.isdisjoint(TAKES) or ops.isdisjoint(PRODUCTS):
        return {}
    plan = _Plan(e.network, {value.name for value in model.graph.output})
    for proto, node in reversed(steps):
        plan.follow(proto, node)
    if not plan.saves:
        return {}
    writer = RowWriter(e, {tensor.name: tensor for tensor in model.graph.initializer})
    for name, value in plan.numbers.items():
        writer.store(value, name)
    for proto, node in steps:
        made_of = [plan.parts.get(name, []) for name in proto.output]
        if node is not None and proto.output[0] in plan.around:
            writer.go_around(proto, node, plan.around[proto.output[0]], made_of[0][0])
        elif node is not None and any(made_of):
            writer.rewrite(proto, node, made_of)
        elif any(name in plan.asked for name in proto.output):
            writer.keep(proto)
    _put(writer, model.graph)
    outputs = (tensor for _, node in steps if node is not None for tensor in node.outputs)
    return {tensor.name: plan.share(tensor) for tensor in outputs}


def _put(writer: RowWriter, graph: onnx.GraphProto) -> None:
    """What was written in place of a graph's nodes, and no weights that nothing reads."""
    del graph.node[:]
    graph.node.extend(writer.nodes)
    graph.initializer.extend(writer.stored)
    read = {name for node in graph.node for name in _read(node)}
    for k in reversed(range(len(graph.initializer))):
        if graph.initializer[k].name not in read:
            del graph.initializer[k]


def _read(node: onnx.NodeProto) -> list[str]:
    inner = [name for body in bodies_of(node) for one in body.node for name in _read(one)]
    shown = [value.name for body in bodies_of(node) for value in body.output]
    return [*node.input, *inner, *shown]


@dataclass
class _Plan:
    """What is needed, followed backwards.

    `asked` are the boxes that the nodes behind want of each tensor, by name. `parts` are those that
    will be made of it, with what each needs of its node's inputs; where there are none, the
    node stays as it is. `around` are products that go around a projection, which is not made for
    them. `numbers` are known before.
    """

    network: Network
    outputs: set[str]
    asked: dict[str, list[Box]] = field(init=False)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    around: dict[str, Projection] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    saves: bool = False

    def __post_init__(self) -> None:
        self.asked = {name: [WHOLE] for name in self.outputs}

    def follow(self, proto: onnx.NodeProto, node: gs.Node | None) -> None:
        """A node all of whose readers were followed before."""
        outputs = [k for k, name in enumerate(proto.output) if name in self.asked]
        if not outputs:
            return
        if node is not None and (number := self._number(node)) is not None:
            self.numbers[proto.output[0]] = number
            del self.asked[proto.output[0]]
            return
        found = None if node is None else self._parts(node, outputs)
        if found is None or node is None:
            for name in _read(proto):
                self._ask(name, WHOLE)
            return
        for k, parts in found.items():
            name = proto.output[k]
            self.parts[name] = parts
            self.saves |= node.op in PRODUCTS and any(part for part, _ in parts)
            around = few_queries(self.network, node, parts)
            if around is not None:
                self.around[name] = around
                self._ask(proto.input[0], parts[0][1][0])
                self._ask(around.x.name, WHOLE)
                continue
            for _, needed in parts:
                for name, part in zip(proto.input, needed, strict=True):
                    self._ask(name, part)

    def share(self, tensor: gs.Tensor) -> float:
        """How much of a tensor will be made, at most at a time."""
        parts = self.parts.get(tensor.name, [])
        whole = 1.0 if tensor.name in self.asked else 0.0
        return max((share(part, tensor.shape) for part, _ in parts), default=whole)

    def _parts(self, node: gs.Node, outputs: list[int]) -> dict[int, list[Part]] | None:
        """The parts to make of each output; None where a node has to stay as it is."""
        if len(outputs) > 1 and node.op != "Split":
            return None
        found: dict[int, list[Part]] = {}
        for k in outputs:
            tensor = node.outputs[k]
            for part in joined(self.asked[tensor.name], tensor.shape):
                needed = needs(self.network, node, k, part)
                if needed is None:
                    return None
                found.setdefault(k, []).append((part, needed))
        return found

    def _number(self, node: gs.Node) -> np.ndarray | None:
        """A factor that is worked out from lengths: the tensor whose lengths may be narrowed."""
        tensor = node.outputs[0]
        is_one = len(node.outputs) == 1 and tensor.shape in ([], [1]) and is_float(tensor)
        if not is_one or tensor.name in self.outputs:
            return None
        return None if constant(tensor) is not None else self.network.value(tensor)

    def _ask(self, name: str, part: Box) -> None:
        if name:
            self.asked.setdefault(name, []).append(part)
