"""What is asked of onnx's own messages all over: domains, attributes, stored values, bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

STANDARD = ("", "ai.onnx")
"""The two names of the standard's domain."""

MICROSOFT = "com.microsoft"
"""Domain of what ONNX Runtime contributes."""

NUMBERS = {
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_float": np.float32,
    "value_floats": np.float32,
}
"""Attributes in which a `Constant` holds numbers that are no tensor, and their element types."""


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operator set that a model imports, 0 where it imports none."""
    return max(
        (entry.version for entry in model.opset_import if entry.domain in STANDARD), default=0
    )


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Values of a node's attributes by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def stored_constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """What a `Constant` node holds; None for any other node, and for strings and sparse values."""
    if node.op_type != "Constant" or node.domain not in STANDARD:
        return None
    for attribute in node.attribute:
        if attribute.name == "value":
            return attribute.t
        if attribute.name in NUMBERS:
            numbers = helper.get_attribute_value(attribute)
            return numpy_helper.from_array(np.array(numbers, NUMBERS[attribute.name]))
    return None


def bodies_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a control flow operator holds."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nodes_of(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes and those of their bodies."""
    for node in nodes:
        yield node
        for body in bodies_of(node):
            yield from nodes_of(body.node)


def named(node: onnx.NodeProto) -> str:
    """How errors name a node."""
    return f"node '{node.name or next(iter(node.output), '')}' ({node.op_type})"


def names_in(graph: onnx.GraphProto) -> set[str]:
    """Names of all tensors of a graph and its bodies."""
    found = {value.name for value in (*graph.input, *graph.initializer, *graph.output)}
    found.update(tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        found.update((*node.input, *node.output))
        for body in bodies_of(node):
            found |= names_in(body)
    return found


class Names:
    """Names that are taken, for finding new ones that are free."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def free(self, wanted: str) -> str:
        """The name itself, or one that begins like it; taken from now on."""
        name, number = wanted, 1
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name
