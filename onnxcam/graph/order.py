"""Nodes in an order in which every one comes behind what it reads.

The specification asks for it, runtimes do not, and some conversion tools append what they insert.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import onnx

from onnxcam.errors import ModelError
from onnxcam.graph.protos import bodies_of


def in_order(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy of one whose nodes are out of order, as close to its order as
    can be.

    Raises `ModelError` when nodes wait for each other.
    """
    nodes = model.graph.node
    made_by = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    waits_for = [{made_by[n] for n in _read(node) if n in made_by} for node in nodes]
    if all(not sources or max(sources) < i for i, sources in enumerate(waits_for)):
        return model
    order = _sorted(waits_for)
    if len(order) < len(nodes):
        stuck = min(set(range(len(nodes))) - set(order))
        raise ModelError(
            f"the model is not valid ONNX: node '{nodes[stuck].name}' ({nodes[stuck].op_type}) "
            f"waits for its own output (a cycle); export it again"
        )
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.ClearField("node")
    copy.graph.node.extend(nodes[i] for i in order)
    return copy


def _sorted(waits_for: list[set[int]]) -> list[int]:
    """Positions in topological order; those on a cycle, and behind one, are left out."""
    users: dict[int, list[int]] = {}
    for i, sources in enumerate(waits_for):
        for source in sources:
            users.setdefault(source, []).append(i)
    open_sources = [len(sources) for sources in waits_for]
    ready = [i for i, count in enumerate(open_sources) if count == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        i = heappop(ready)
        order.append(i)
        for user in users.get(i, ()):
            open_sources[user] -= 1
            if open_sources[user] == 0:
                heappush(ready, user)
    return order


def _read(node: onnx.NodeProto) -> list[str]:
    """What a node reads, in its bodies too, where names of their own hide those outside."""
    names = list(node.input)
    for body in bodies_of(node):
        own = {value.name for value in (*body.input, *body.initializer)}
        own.update(name for inner in body.node for name in inner.output)
        read = [name for inner in body.node for name in _read(inner)]
        read += [output.name for output in body.output]
        names += [name for name in read if name not in own]
    return names
