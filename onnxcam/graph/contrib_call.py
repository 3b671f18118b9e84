"""What shapes of contributed operators are inferred from, and standard ones to infer them as."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
Output = tuple[int, Shape] | None
"""Element type and shape of one output; None where it cannot be told."""

_REFERENCE_OPSET = 21


@dataclass(frozen=True)
class Call:
    """One node with what is known of its inputs; left-out ones are None."""

    op: str
    attrs: Mapping[str, Any]
    shapes: Sequence[Shape | None]
    types: Sequence[int]
    values: Sequence[np.ndarray | None]

    def has(self, i: int) -> bool:
        return i < len(self.shapes) and self.shapes[i] is not None

    def shape(self, i: int) -> Shape:
        found = self.shapes[i] if i < len(self.shapes) else None
        if found is None:
            raise ValueError(f"input {i} is left out")
        return found

    def value(self, i: int) -> np.ndarray:
        found = self.values[i] if i < len(self.values) else None
        if found is None:
            raise ValueError(f"the value of input {i} is known to the run only")
        return found


Rule = Callable[[Call], list[Output]]


def dims(kind: onnx.TypeProto.Tensor) -> Shape:
    if not kind.HasField("shape") or not all(d.HasField("dim_value") for d in kind.shape.dim):
        raise ValueError("a shape is unknown")
    return tuple(d.dim_value for d in kind.shape.dim)


def standard(op: str, shapes: Sequence[Shape | np.ndarray], attrs: Mapping[str, Any]) -> Shape:
    """Shape of a standard operator's first output; an array is an input of known value."""
    schema = onnx.defs.get_schema(op, _REFERENCE_OPSET)
    known = {k: v for k, v in attrs.items() if k in schema.attributes}
    names = [f"x{k}" for k in range(len(shapes))]
    data = {n: s for n, s in zip(names, shapes, strict=True) if isinstance(s, np.ndarray)}
    types = {
        n: helper.make_tensor_type_proto(TensorProto.FLOAT, s)
        for n, s in zip(names, shapes, strict=True)
        if not isinstance(s, np.ndarray)
    }
    for n, value in data.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        types[n] = helper.make_tensor_type_proto(kind, value.shape)
    found = onnx.shape_inference.infer_node_outputs(
        schema,
        helper.make_node(op, names, ["y"], **known),
        types,
        {name: numpy_helper.from_array(value) for name, value in data.items()},
        opset_imports=[helper.make_opsetid("", _REFERENCE_OPSET)],
        ir_version=10,
    )
    return dims(found["y"].tensor_type)


def shaped_as(op: str, *inputs: int, kind: int | None = 0) -> Rule:
    """The shape of a standard operator on some inputs; the type of input `kind`, None for float."""

    def rule(call: Call) -> list[Output]:
        shape = standard(op, [call.shape(i) for i in inputs], call.attrs)
        return [(TensorProto.FLOAT if kind is None else call.types[kind], shape)]

    return rule


def like(i: int = 0, kind: int | None = 0) -> Rule:
    """The shape of input i; the type of input `kind`, None for float."""
    return lambda call: [(TensorProto.FLOAT if kind is None else call.types[kind], call.shape(i))]


def broadcast(*inputs: int, kind: int = 0) -> Rule:
    return lambda call: [(call.types[kind], np.broadcast_shapes(*(call.shape(i) for i in inputs)))]


def channels_last(op: str, *inputs: int) -> Rule:
    """A standard operator with the channels at the end of what it reads first and makes."""

    def rule(call: Call) -> list[Output]:
        first, *rest = (call.shape(i) for i in inputs)
        if not call.attrs.get("channels_last", 1 if call.op.startswith("Nhwc") else 0):
            return [(call.types[0], standard(op, [first, *rest], call.attrs))]
        n, *size, c = first
        n, c, *size = standard(op, [(n, c, *size), *rest], call.attrs)
        return [(call.types[0], (n, *size, c))]

    return rule
