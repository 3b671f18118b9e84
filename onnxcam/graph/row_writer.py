"""Nodes written down for the rows that are needed, in place of those for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.graph.boxes import WHOLE, Box, holds
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.needed_rows import TAKES, dropped_axis, taken, wanted
from onnxcam.graph.network import constant
from onnxcam.graph.projections import Projection

Part = tuple[Box, list[Box]]
"""A box to make of a node's output, and what it needs of its inputs."""

_Key = tuple[str, tuple[tuple[int, tuple[int, ...]], ...]]


class RowWriter:
    """Collects `nodes` and the tensors they need `stored`, node after node.

    `initializers` are the stored tensors that there are. All of a tensor goes by its own name.
    """

    def __init__(self, e: Emitter, initializers: Mapping[str, onnx.TensorProto]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self._e = e
        self._initializers = initializers
        self._made: dict[str, list[tuple[Box, str]]] = {}
        self._taken: dict[_Key, str] = {}

    def store(self, value: np.ndarray, name: str = "") -> str:
        """Keep a value, under a new name if it has none."""
        name = name or self._e.name("stored")
        self.stored.append(onnx.numpy_helper.from_array(value, name))
        return name

    def keep(self, proto: onnx.NodeProto) -> None:
        """A node as it is."""
        self.nodes.append(proto)

    def rewrite(
        self, proto: onnx.NodeProto, node: gs.Node, outputs: Sequence[Sequence[Part]]
    ) -> None:
        """The same node for parts of each of its outputs."""
        if self._stays(proto, outputs):
            self.keep(proto)
            return
        for k, parts in enumerate(outputs):
            for part, needed in parts:
                if node.op in TAKES:
                    made = self._take(proto, node, k, part, needed[0])
                else:
                    made = self._narrowed(proto, node, part, needed)
                self._made.setdefault(proto.output[k], []).append((part, made))

    def go_around(self, proto: onnx.NodeProto, node: gs.Node, to: Projection, part: Part) -> None:
        """A product (n, heads, few, .) with a projection, which is applied to the few instead.

        What is projected meets all heads' rows at once, (n, heads x few, .).
        """
        rows, (of_left, *_) = part
        few, (heads, channels, _) = len(rows[2]), to.weight.shape
        left = self._obtained(proto.input[0], node.inputs[0].shape, of_left)
        together = self.store(
            np.array([0, heads * few, channels if to.is_transposed else to.tokens])
        )
        apart = self.store(np.array([0, heads, few, to.tokens if to.is_transposed else channels]))
        if to.is_transposed:
            turned = self.store(np.ascontiguousarray(to.weight.swapaxes(1, 2)))
            asked = self._op("Reshape", self._op("MatMul", left, turned), together)
            upright = self._op("Transpose", to.x.name, perm=[0, 2, 1])
            found = self._op("Reshape", self._op("MatMul", asked, upright), apart)
        else:
            rows_of_all = self._op("Reshape", left, together)
            mixed = self._op("Reshape", self._op("MatMul", rows_of_all, to.x.name), apart)
            found = self._op("MatMul", mixed, self.store(to.weight))
        if to.bias is not None:
            found = self._op("Add", found, self._shift(left, to))
        self._made[proto.output[0]] = [(rows, found)]

    def _shift(self, left: str, to: Projection) -> str:
        """What a projection's bias adds to a product with it."""
        assert to.bias is not None
        if to.is_transposed:
            return self._op("MatMul", left, self.store(to.bias.swapaxes(1, 2)))
        ones = self.store(np.ones((to.tokens, 1), np.float32))
        return self._op("Mul", self._op("MatMul", left, ones), self.store(to.bias))

    def _op(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = self._e.name(op)
        self.nodes.append(onnx.helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def _stays(self, proto: onnx.NodeProto, outputs: Sequence[Sequence[Part]]) -> bool:
        """Whether all is made of all, or taken from all."""
        parts = [part for some in outputs for part, _ in some]
        return not any(parts) and all(
            self._source(name, part) == (WHOLE, name)
            for some in outputs
            for _, needed in some
            for name, part in zip(proto.input, needed, strict=True)
        )

    def _narrowed(
        self, proto: onnx.NodeProto, node: gs.Node, part: Box, needed: Sequence[Box]
    ) -> str:
        copy = onnx.NodeProto()
        copy.CopyFrom(proto)
        pairs = zip(proto.input, node.inputs, needed, strict=True)
        copy.input[:] = [self._obtained(name, tensor.shape, p) for name, tensor, p in pairs]
        if part:
            copy.name = copy.output[0] = self._e.name(node.op)
            del copy.output[1:]
            if node.op == "Reshape":
                copy.input[1] = self._lengths(proto, node, part)
        self.nodes.append(copy)
        return copy.output[0]

    def _take(self, proto: onnx.NodeProto, node: gs.Node, k: int, part: Box, needed: Box) -> str:
        rows = taken(self._e.network, node, k)
        assert rows is not None
        x = node.inputs[0]
        name = "" if part else proto.output[k]
        order = wanted(node, rows, part)
        return self._rows(self._source(x.name, needed), x.shape, order, dropped_axis(node), name)

    def _source(self, name: str, part: Box) -> tuple[Box, str]:
        """What was made of a tensor that holds a part of it."""
        made = self._made.get(name, [(WHOLE, name)])
        return next((found, version) for found, version in made if holds(found, part))

    def _obtained(self, name: str, shape: Shape, part: Box) -> str:
        """The name of just a part of a tensor."""
        found, version = self._source(name, part) if name else (WHOLE, name)
        if found == part:
            return version
        key = (name, tuple(sorted(part.items())))
        if key not in self._taken:
            order = {axis: list(rows) for axis, rows in part.items()}
            self._taken[key] = self._rows((found, version), shape, order, None, "")
        return self._taken[key]

    def _rows(
        self,
        source: tuple[Box, str],
        shape: Shape,
        order: Mapping[int, Sequence[int]],
        dropped: int | None,
        name: str,
    ) -> str:
        """The name of rows of what was made of a tensor, in order; `dropped` is an axis to end."""
        made, x = source
        places: dict[int, list[int]] = {}
        for axis, rows in order.items():
            there = made.get(axis) or _all(shape, axis)
            found = [there.index(row) for row in rows]
            if axis != dropped and found != list(range(len(there))):
                places[axis] = found
        ranges = {axis: found for axis, found in places.items() if _is_range(found)}
        ops: list[tuple[str, list[str], dict[str, Any]]] = []
        if ranges:
            starts = [found[0] for found in ranges.values()]
            stops = [found[-1] + 1 for found in ranges.values()]
            vectors = [self.store(np.array(v)) for v in (starts, stops, list(ranges))]
            ops.append(("Slice", vectors, {}))
        for axis in places.keys() - ranges.keys():
            ops.append(("Gather", [self.store(np.array(places[axis]))], {"axis": axis}))
        if dropped is not None:
            there = made.get(dropped) or _all(shape, dropped)
            place = np.array(there.index(order[dropped][0]))
            ops.append(("Gather", [self.store(place)], {"axis": dropped}))
        if name and not ops:
            ops.append(("Identity", [], {}))
        for k, (op, inputs, attributes) in enumerate(ops):
            y = name if name and k == len(ops) - 1 else self._e.name("rows")
            self.nodes.append(onnx.helper.make_node(op, [x, *inputs], [y], y, **attributes))
            x = y
        return x

    def _lengths(self, proto: onnx.NodeProto, node: gs.Node, part: Box) -> str:
        """What to reshape to: where rows are left out, as many as there are."""
        name, rank = proto.input[1], len(node.outputs[0].shape)
        counts = np.array([len(part.get(axis, ())) for axis in range(rank)])
        is_cut = np.array([axis in part for axis in range(rank)])
        stored = self._initializers.get(name)
        known = constant(node.inputs[1]) if stored is None else onnx.numpy_helper.to_array(stored)
        if known is not None:
            return self.store(np.where(is_cut, counts, known))
        found = self._e.name("lengths")
        inputs = [self.store(is_cut), self.store(counts), name]
        self.nodes.append(onnx.helper.make_node("Where", inputs, [found], found))
        return found


def _all(shape: Shape, axis: int) -> range:
    length = shape[axis]
    assert isinstance(length, int)  # of no other axis is it known which rows are taken
    return range(length)


def _is_range(rows: Sequence[int]) -> bool:
    return list(rows) == list(range(rows[0], rows[-1] + 1))
