"""A model as the rest of onnxcam sees it: an onnx-graphsurgeon graph with trusted shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues, SparseValues

from onnxcam.errors import damage
from onnxcam.graph.external import detached, element_type, size_in_bytes, values
from onnxcam.graph.load import ModelSource, load_with_file
from onnxcam.graph.normal_form import in_normal_form
from onnxcam.graph.protos import NUMBERS
from onnxcam.graph.rewritten import without_explanation
from onnxcam.graph.sanity import require_possible
from onnxcam.graph.shapes import Facts


class Network:
    """A loaded model, walked but never changed (one older than opset 11 is converted to it).

    `proto` is the model itself. `graph` is its onnx-graphsurgeon view: shapes and element types
    are inferred anew (`onnxcam.graph.shapes`), a dimension is an int, a symbol, or None when
    nothing is known of it, and weights stay unread until somebody asks for their values.
    """

    def __init__(self, model: ModelSource) -> None:
        gs.logger.G_LOGGER.severity = gs.logger.G_LOGGER.CRITICAL
        with damage():
            loaded, file = load_with_file(model)
            self.proto: onnx.ModelProto = in_normal_form(without_explanation(loaded))
            self._file = file if self.proto is loaded else None
            del loaded
            if self._file is not None:
                self.proto = self._file.lightened(self.proto)
            self._facts = Facts(self.proto)
            found = self._facts.tensors
            self.graph: gs.Graph = gs.import_onnx(self.proto)
        self.answers: dict[Callable[..., Any], Any] = {}
        self.tensors: dict[str, gs.Tensor] = self.graph.tensors()
        for node in self.graph.nodes:
            if node.op == "Constant" and "value" in node.attrs:
                _read_with_care(node.attrs["value"])
        for name, tensor in self.tensors.items():
            if isinstance(tensor, gs.Constant):
                _read_with_care(tensor)
            else:
                info = found.get(name)
                require_possible(name, info.shape if info else None)
                tensor.shape = info.shape if info else None
                tensor.dtype = info.dtype if info else None

    @property
    def serialized(self) -> bytes:
        """The model as bytes."""
        return self.followed_by(b"")

    def followed_by(self, added: bytes) -> bytes:
        """The model as bytes, and others behind them.

        Those of its file, where that still holds just what is used here.
        """
        stored = self._file.followed_by(added) if self._file is not None else None
        return self._detached[0].SerializeToString() + added if stored is None else stored

    @property
    def folder(self) -> Path | None:
        """Where external data that `serialized` speaks of are; None where there are none."""
        return None if self._file is not None else self._detached[1]

    @cached_property
    def _detached(self) -> tuple[onnx.ModelProto, Path | None]:
        return detached(self.proto)

    @property
    def opset(self) -> int:
        """Version of the standard operator set that the model imports."""
        return int(self.graph.opset)

    def value(self, tensor: gs.Tensor) -> np.ndarray | None:
        """Value of a tensor that every run shares: stored, or computed from what is stored."""
        stored = constant(tensor)
        return self._facts.values.get(tensor.name) if stored is None else stored

    @property
    def because(self) -> str:
        """Why a shape is unknown, in brackets, for errors; "" where that cannot be told."""
        return f" ({self._facts.obstacle})" if self._facts.obstacle else ""

    @cached_property
    def position(self) -> dict[str, int]:
        """Index of the node that makes each tensor; the file's order is a topological one."""
        return {
            tensor.name: index
            for index, node in enumerate(self.graph.nodes)
            for tensor in node.outputs
        }

    @cached_property
    def varying(self) -> set[str]:
        """Names of the tensors that depend on an input; all others are weights, or made of them."""
        found = {tensor.name for tensor in self.inputs}
        for node in self.graph.nodes:
            if any(tensor.name in found for tensor in operands(node)):
                found.update(tensor.name for tensor in node.outputs)
        return found

    @cached_property
    def scopes(self) -> dict[str, tuple[str, ...]]:
        """The framework modules that each tensor was computed in, by tensor name.

        Torch's exporter records them as node metadata, the others only in the node's name
        (`/layer4/layer4.2/conv3/Conv`, `model_1/block5_conv3/Relu`).
        """
        return {
            output: _scopes(node)
            for node in self.proto.graph.node
            for output in node.output
            if output
        }

    @cached_property
    def inputs(self) -> list[gs.Variable]:
        """What a run must be fed: graph inputs that are no stored weights."""
        stored = {tensor.name for tensor in self.proto.graph.initializer}
        return [tensor for tensor in self.graph.inputs if tensor.name not in stored]


_Answer = TypeVar("_Answer")


def once(question: Callable[[Network], _Answer]) -> Callable[[Network], _Answer]:
    """A question about a network that is worked out once: the network does not change.

    The answer is shared, so nobody may change it either.
    """

    @wraps(question)
    def asked(network: Network) -> _Answer:
        if question not in network.answers:
            network.answers[question] = question(network)
        answer: _Answer = network.answers[question]
        return answer

    return asked


class _Stored(LazyValues):
    """Stored values of any type, in the model or outside, read when they are asked for."""

    def __init__(self, tensor: onnx.TensorProto) -> None:
        self.tensor = tensor
        self.shape = list(tensor.dims)
        self.dtype = element_type(tensor)
        self.nbytes = size_in_bytes(tensor)

    def load(self) -> np.ndarray:
        return values(self.tensor)


class _Sparse(SparseValues):
    """Stored values of which most are zero, given with their indices."""

    def load(self) -> np.ndarray:
        stored, places = values(self.tensor.values), values(self.tensor.indices)
        dense = np.zeros(self.tensor.dims, stored.dtype)
        index = places.T if places.ndim == 2 else np.unravel_index(places, dense.shape)
        dense[tuple(index)] = stored
        return dense


def _read_with_care(tensor: gs.Constant) -> None:
    """onnx-graphsurgeon knows no external data, few element types, and sparse values by half."""
    lazy = tensor._values
    if isinstance(lazy, SparseValues):
        tensor.values = _Sparse(lazy.tensor)
    elif isinstance(lazy, LazyValues):
        tensor.values = _Stored(lazy.tensor)
        tensor.data_location = None  # an exporter would say so of values that are read, too


def is_float(tensor: gs.Tensor) -> bool:
    """Whether a derivative can flow through a tensor of this element type."""
    dtype = tensor.dtype
    return isinstance(dtype, np.dtype) and dtype.kind in "fV" and dtype.itemsize > 1


def is_integer(tensor: gs.Tensor) -> bool:
    """Whether a tensor holds integers, which may stand for real numbers.

    So do floats of 8 bits and fewer, which are for storing only.
    """
    dtype = tensor.dtype
    if not isinstance(dtype, np.dtype):
        return False
    return dtype.kind in "iu" or (dtype.kind in "fV" and dtype.itemsize == 1)


def operands(node: gs.Node) -> list[gs.Tensor]:
    """What a node reads: its inputs, then what its subgraphs (of `If`, say) read from outside."""
    outside: dict[str, gs.Tensor] = {}
    for graph in subgraphs(node):
        made = {t.name for inner in graph.nodes for t in inner.outputs}
        made.update(t.name for t in graph.inputs)
        read = [t for inner in graph.nodes for t in operands(inner)] + list(graph.outputs)
        outside.update({t.name: t for t in read if t.name and t.name not in made})
    return [*node.inputs, *outside.values()]


def given(node: gs.Node, i: int) -> gs.Tensor | None:
    """An optional input of a node, None where it is left out."""
    return node.inputs[i] if i < len(node.inputs) and node.inputs[i].name else None


def subgraphs(node: gs.Node) -> list[gs.Graph]:
    """The graphs that a control flow operator holds."""
    return [value for value in node.attrs.values() if isinstance(value, gs.Graph)]


def with_tensors(
    node: gs.Node, inputs: Sequence[gs.Tensor], outputs: Sequence[gs.Tensor]
) -> gs.Node:
    """A node with the operator, name and attributes of another, on other tensors."""
    return gs.Node(
        op=node.op,
        name=node.name,
        domain=node.domain,
        attrs=node.attrs,
        inputs=list(inputs),
        outputs=list(outputs),
    )


def producer(tensor: gs.Tensor) -> gs.Node | None:
    """The node that makes a tensor; None for inputs and stored weights."""
    return tensor.inputs[0] if isinstance(tensor, gs.Variable) and tensor.inputs else None


def constant(tensor: gs.Tensor) -> np.ndarray | None:
    """Value of a tensor that is stored in the file, as a weight or by a `Constant` node."""
    if isinstance(tensor, gs.Constant):
        return np.asarray(tensor.values)
    node = producer(tensor)
    if node is None:
        return None
    if node.op == "Identity":
        return constant(node.inputs[0])
    if node.op != "Constant":
        return None
    for key, value in node.attrs.items():
        if key == "value":
            return np.asarray(value.values)
        if key in NUMBERS:
            return np.asarray(value, dtype=NUMBERS[key])
    return None


def describe(node: gs.Node) -> str:
    """How errors name a node."""
    name = node.name or (node.outputs[0].name if node.outputs else "")
    return f"node '{name}' ({node.domain + '.' if node.domain else ''}{node.op})"


_VARIABLE = re.compile(r"(.+)/[^/]+/ReadVariableOp(:\d+)?$")
"""A variable of Keras, read by an operation of a layer: `model_1/conv/Cast/ReadVariableOp:0`."""


def _scopes(node: onnx.NodeProto) -> tuple[str, ...]:
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes" and isinstance(entry.value, str):
            scopes = re.findall(r"'([^']*)'", entry.value)
            return tuple(scope for scope in scopes[:-1] if scope)  # the last is the node itself
    parts = [part for part in node.name.split("/") if part][:-1]
    if not parts:  # tf2onnx leaves 3-D convolutions without a name; what they read has one
        parts = next((m[1].split("/") for m in map(_VARIABLE.match, node.input) if m), [])
    if not node.name.startswith("/"):
        return tuple(parts)
    nested: list[str] = []  # torch's older exporter: /layer4/layer4.2/conv3/Conv
    for part in parts:
        inside = bool(nested) and not part.startswith(nested[-1] + ".")
        nested.append(f"{nested[-1]}.{part}" if inside else part)
    return tuple(nested)
