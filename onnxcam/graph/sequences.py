"""Sequences of tensors, taken out of the way where their elements are known.

Exporters split a tensor into a sequence and pick parts by stored positions, or collect tensors
in a sequence to join them. Without the sequence, the first is a `Slice` (or a `Gather`), the
second a `Concat`. A sequence that a loop builds, or that the model is fed, stays one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxcam.graph.protos import STANDARD, Names, attributes, names_in, opset_of, stored_constant

_READERS = {"SequenceAt", "ConcatFromSequence", "OptionalGetElement"}


@dataclass(frozen=True)
class Part:
    """Positions start to stop of a tensor along an axis, with or without that axis."""

    of: str
    axis: int
    start: int
    stop: int
    keepdims: bool


@dataclass(frozen=True)
class Chunks:
    """A tensor split into parts of one length, as many as there happen to be."""

    of: str
    axis: int
    length: int
    keepdims: bool

    def at(self, position: int) -> Part:
        start = position * self.length
        return Part(self.of, self.axis, start, start + self.length, self.keepdims)


Element = str | Part
"""A tensor by name, or a part of one."""


def without_sequences(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with other nodes in place of those that read sequences of known elements.

    What reads no sequence is returned as it is, anything else as a copy.
    """
    if not any(node.op_type in _READERS for node in model.graph.node):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    walk = _Walk(result.graph, opset_of(model))
    nodes = [new for node in model.graph.node for new in walk.replaced(node)]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


class _Walk:
    """What is known of the sequences of a graph, node after node; adds stored values to it."""

    def __init__(self, graph: onnx.GraphProto, opset: int) -> None:
        self.graph, self.opset = graph, opset
        self.lists: dict[str, list[Element]] = {}
        self.chunks: dict[str, Chunks] = {}
        self.values = {t.name: t for t in graph.initializer}
        self.names = Names(names_in(graph))

    def replaced(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """What stands for a node: itself, if it reads no sequence or one that is not known."""
        attrs = attributes(node)
        if node.domain not in STANDARD:
            yield node
        elif node.op_type == "ConcatFromSequence":
            yield from self._joined(node, attrs["axis"], attrs.get("new_axis", 0))
        elif node.op_type in _READERS:
            yield self._picked(node)
        else:
            self._note(node, attrs)
            yield node

    def _note(self, node: onnx.NodeProto, attrs: dict[str, Any]) -> None:
        stored = stored_constant(node)
        if stored is not None:
            self.values[node.output[0]] = stored
        elif node.op_type == "SplitToSequence":
            self._note_split(node, attrs.get("axis", 0), bool(attrs.get("keepdims", 1)))
        else:
            elements = self._elements(node)
            if elements is not None:
                self.lists[node.output[0]] = elements

    def _note_split(self, node: onnx.NodeProto, axis: int, keepdims: bool) -> None:
        """Into parts of length 1 (only these may lose the axis), of another, or of several."""
        x, made = node.input[0], node.output[0]
        if len(node.input) < 2 or not node.input[1]:
            self.chunks[made] = Chunks(x, axis, 1, keepdims)
            return
        lengths = self._value(node.input[1])
        if lengths is None:
            return
        if lengths.ndim == 0:
            self.chunks[made] = Chunks(x, axis, int(lengths), True)
            return
        ends = np.cumsum(lengths).tolist()
        bounds = zip([0, *ends[:-1]], ends, strict=True)
        self.lists[made] = [Part(x, axis, start, end, True) for start, end in bounds]

    def _elements(self, node: onnx.NodeProto) -> list[Element] | None:
        """The elements of a sequence (or optional) that a node makes, if they are known."""
        if node.op_type == "SequenceEmpty":
            return []
        if node.op_type == "SequenceConstruct":
            return list(node.input)
        if node.op_type in ("Optional", "Identity") and len(node.input):
            named = [node.input[0]] if node.op_type == "Optional" else None
            return self.lists.get(node.input[0], named)
        if node.op_type not in ("SequenceInsert", "SequenceErase"):
            return None
        elements = list(self.lists.get(node.input[0], []))
        insert = node.op_type == "SequenceInsert"
        given = node.input[2:] if insert else node.input[1:]
        at = self._position(given, len(elements) if insert else -1)
        if node.input[0] not in self.lists or at is None:
            return None
        if insert:
            elements.insert(at, node.input[1])
        else:
            elements.pop(at)
        return elements

    def _joined(self, node: onnx.NodeProto, axis: int, stacked: int) -> Iterator[onnx.NodeProto]:
        """Concat of the elements; those that are stacked get an axis more."""
        elements, name = self.lists.get(node.input[0]), node.output[0]
        if not elements:
            yield node
            return
        parts = []
        for number, element in enumerate(elements):
            part = (
                element if isinstance(element, str) else self.names.free(f"{name}/element_{number}")
            )
            if isinstance(element, Part):
                yield self._cut(element, part)
            if stacked:
                whole, part = part, self.names.free(f"{name}/unsqueezed_{number}")
                yield self._unsqueezed(whole, part, axis)
            parts.append(part)
        yield helper.make_node("Concat", parts, [name], name=node.name, axis=axis)

    def _picked(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """The element that is picked: the tensor itself, or cut from the one that was split."""
        sequence, name = node.input[0], node.output[0]
        at = self._position(node.input[1:], 0)
        element: Element | None = None
        if at is not None and at >= 0 and sequence in self.chunks:
            element = self.chunks[sequence].at(at)
        elements = self.lists.get(sequence, [])
        if at is not None and -len(elements) <= at < len(elements):
            element = elements[at]
        if element is None:
            return node
        if isinstance(element, str):
            return helper.make_node("Identity", [element], [name], name=node.name)
        return self._cut(element, name, node.name)

    def _cut(self, part: Part, name: str, node: str | None = None) -> onnx.NodeProto:
        if not part.keepdims:
            index = self._stored(f"{name}/index", part.start)
            return helper.make_node("Gather", [part.of, index], [name], name=node, axis=part.axis)
        bounds = {"start": part.start, "end": part.stop, "axis": part.axis}
        given = [self._stored(f"{name}/{key}", [value]) for key, value in bounds.items()]
        return helper.make_node("Slice", [part.of, *given], [name], name=node)

    def _unsqueezed(self, tensor: str, name: str, axis: int) -> onnx.NodeProto:
        if self.opset < 13:
            return helper.make_node("Unsqueeze", [tensor], [name], axes=[axis])
        return helper.make_node("Unsqueeze", [tensor, self._stored(f"{name}/axis", [axis])], [name])

    def _position(self, given: Sequence[str], default: int) -> int | None:
        """A position in a sequence; None if only the run knows it."""
        if not given or not given[0]:
            return default
        value = self._value(given[0])
        return None if value is None else int(value.ravel()[0])

    def _value(self, name: str) -> np.ndarray | None:
        return numpy_helper.to_array(self.values[name]) if name in self.values else None

    def _stored(self, name: str, value: int | list[int]) -> str:
        name = self.names.free(name)
        array = np.array(value, dtype=np.int64)
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name
