"""Emitted nodes computed beforehand, where what they read is settled.

A value that is the same for every picture of a batch is kept once, with length 1 along the batch,
and repeated only for a node that needs it in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.graph.body import node_proto, value_info
from onnxcam.graph.dims import Dim, Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import subgraphs

LARGEST_STORED = 2**18
"""Elements of a value that is stored in place of the nodes that make it."""

_BROADCASTING = {
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "MatMul",
    "Max", "Min", "Mul", "Or", "Pow", "Sub", "Sum", "Where",
}  # fmt: skip
_OF_LENGTHS = {"Shape", "Size"}
"""They would see the length 1."""

Settled = Sequence[tuple[gs.Variable, np.ndarray]]
"""Graph inputs, and what they are: (1, ...), the same for each picture."""


def folded(e: Emitter, settled: Settled, outputs: Mapping[str, gs.Tensor]) -> dict[str, gs.Tensor]:
    """Compute what `e` has emitted as far as it depends on nothing but settled inputs.

    Returns `outputs` as they are called afterwards.
    """
    return _Folding(e, settled).of_all(outputs)


class _Folding:
    def __init__(self, e: Emitter, settled: Settled) -> None:
        self._e = e
        self._values = {tensor.name: value for tensor, value in settled}
        self._asked: dict[Dim, int] = {
            dim: length
            for tensor, value in settled
            for dim, length in zip(tensor.shape, value.shape, strict=True)
            if isinstance(dim, str)
        }
        self._others: dict[str, gs.Tensor] = {}
        """Tensors that another one is equal to."""
        self._in_full: dict[str, gs.Tensor] = {}
        self._sizes: dict[Dim, gs.Tensor] = {}
        self._batches: dict[Dim, gs.Tensor] = {
            tensor.shape[0]: tensor
            for tensor in reversed(e.network.inputs)
            if tensor.shape and isinstance(tensor.shape[0], str)
        }

    def of_all(self, outputs: Mapping[str, gs.Tensor]) -> dict[str, gs.Tensor]:
        emitted, self._e.nodes = self._e.nodes, []
        for node in emitted:
            if not (self._is_chosen(node) or self._is_computed(node)):
                self._keep(node)
        return {name: self._as_read(tensor, None) for name, tensor in outputs.items()}

    def _is_chosen(self, node: gs.Node) -> bool:
        """Whether a `Where` is one of its sides, whatever the other one is."""
        condition = self._value(node.inputs[0]) if node.op == "Where" else None
        if condition is None or condition.size == 0 or condition.min() != condition.max():
            return False
        (made,), side = node.outputs, node.inputs[1 if condition.flat[0] else 2]
        side = self._others.get(side.name, side)
        value, lengths = self._value(side), self._for_one(made.shape)
        if value is not None and lengths is not None:
            return self._store([made], [np.broadcast_to(value, lengths)])
        if side.name in self._values or made.shape is None or side.shape != made.shape:
            return False
        self._others[made.name] = side
        return True

    def _is_computed(self, node: gs.Node) -> bool:
        reads = list(node.inputs)
        if node.op in _OF_LENGTHS or node.domain or subgraphs(node):
            return False
        if not any(t.name in self._values for t in reads):
            return False
        values = {t.name: self._value(t) for t in reads if t.name}
        if any(value is None for value in values.values()):
            return False
        repeated = any(self._is_repeated(t) for t in reads)
        if repeated and not all(self._is_repeated(t) for t in node.outputs):
            return False  # it joins pictures
        lengths = [self._for_one(t.shape) for t in node.outputs]
        made = _run(self._e, node, {k: v for k, v in values.items() if v is not None})
        if made is None or [list(one.shape) for one in made] != lengths:
            return False
        return self._store(list(node.outputs), made)

    def _store(self, tensors: list[gs.Tensor], values: list[np.ndarray]) -> bool:
        if any(value.size > LARGEST_STORED for value in values):
            return False
        self._values |= {t.name: value for t, value in zip(tensors, values, strict=True)}
        return True

    def _value(self, tensor: gs.Tensor) -> np.ndarray | None:
        if tensor.name in self._values:
            return self._values[tensor.name]
        return np.asarray(tensor.values) if isinstance(tensor, gs.Constant) else None

    def _is_batch(self, dim: Dim) -> bool:
        return dim in self._batches

    def _is_repeated(self, tensor: gs.Tensor) -> bool:
        return tensor.shape is not None and any(map(self._is_batch, tensor.shape))

    def _for_one(self, shape: Shape | None) -> list[int] | None:
        """A shape for one picture; None where other lengths are open too."""
        if shape is None:
            return None
        lengths = [1 if self._is_batch(d) else self._asked.get(d, d) for d in shape]
        known = [length for length in lengths if isinstance(length, int)]
        return known if len(known) == len(lengths) else None

    def _keep(self, node: gs.Node) -> None:
        self._read(node, node)
        self._e.nodes.append(node)

    def _read(self, node: gs.Node, outermost: gs.Node) -> None:
        for at, tensor in enumerate(node.inputs):
            node.inputs[at] = self._as_read(tensor, node if node is outermost else None)
        for body in subgraphs(node):
            for inner in body.nodes:
                self._read(inner, outermost)

    def _as_read(self, tensor: gs.Tensor, by: gs.Node | None) -> gs.Tensor:
        """What stands for a tensor; in full for an output, and for what does not broadcast."""
        tensor = self._others.get(tensor.name, tensor)
        if tensor.name not in self._values:
            return tensor
        stored = self._e.constant(self._values[tensor.name])
        if not self._is_repeated(tensor) or (by is not None and self._broadcasts(by, tensor)):
            return stored
        if tensor.name not in self._in_full:
            self._in_full[tensor.name] = self._e.op(
                "Expand", stored, self._lengths(tensor), shape=list(tensor.shape)
            )
        return self._in_full[tensor.name]

    def _broadcasts(self, node: gs.Node, tensor: gs.Tensor) -> bool:
        """Whether a node repeats a value itself, as often as another one that it reads."""
        if node.op not in _BROADCASTING:
            return False
        first = 3 if node.op == "MatMul" else 1  # whose last two axes do not broadcast
        others = [t for t in node.inputs if t.name not in self._values and t.shape is not None]
        return all(
            back >= first and any(len(t.shape) >= back and t.shape[-back] == dim for t in others)
            for back, dim in enumerate(reversed(tensor.shape), 1)
            if self._is_batch(dim)
        )

    def _lengths(self, tensor: gs.Tensor) -> gs.Tensor:
        e = self._e
        dims = [self._size(dim) if self._is_batch(dim) else e.ints(dim) for dim in tensor.shape]
        return e.concat(dims, -1)

    def _size(self, batch: Dim) -> gs.Tensor:
        """A batch's size; of a node of its own, because another one may come later."""
        if batch not in self._sizes:
            fed, int64 = self._batches[batch], np.dtype(np.int64)
            shape = self._e.op("Shape", fed, shape=[len(fed.shape)], dtype=int64)
            self._sizes[batch] = self._e.op("Gather", shape, self._e.ints(0), shape=[1], axis=0)
        return self._sizes[batch]


def _run(e: Emitter, node: gs.Node, values: Mapping[str, np.ndarray]) -> list[np.ndarray] | None:
    """The outputs of a standard operator by onnx's reference implementation, if it has one."""
    from onnx.reference import ReferenceEvaluator  # slow to import, and few rewritings fold

    graph = onnx.helper.make_graph(
        [node_proto(node)],
        "folded",
        [value_info(gs.Variable(k, v.dtype, list(v.shape)), k) for k, v in values.items()],
        [value_info(t, t.name) for t in node.outputs],
    )
    model = onnx.ModelProto(ir_version=e.network.proto.ir_version, graph=graph)
    model.opset_import.extend(e.network.proto.opset_import)
    try:
        return [np.asarray(one) for one in ReferenceEvaluator(model).run(None, dict(values))]
    except Exception:  # an operator's Python may raise anything; the runtime knows them all
        return None
