"""Emitting ONNX nodes behind an existing graph, with shapes known as far as they can be.

Every helper adds at most a few nodes and returns a tensor whose shape is set, so that what is
emitted later can stay static. Axes are negative (counted from the end) wherever a tensor may
carry leading axes in front of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import broadcast
from onnxcam.graph.reshaping import Reshaping

Operand: TypeAlias = gs.Tensor | float | int


class Emitter(Reshaping):
    """Collects the nodes that are appended to a network (see `Emission`).

    Beside what it inherits: arithmetic with tensors and numbers, parts of tensors and their sums.
    """

    def _operands(self, *operands: Operand) -> list[gs.Tensor]:
        dtype = next(o.dtype for o in operands if isinstance(o, gs.Tensor))
        return [o if isinstance(o, gs.Tensor) else self.constant(o, dtype) for o in operands]

    def _pointwise(self, op: str, *operands: Operand, dtype: Any = None) -> gs.Variable:
        inputs = self._operands(*operands)
        return self.op(op, *inputs, shape=broadcast(*(t.shape for t in inputs)), dtype=dtype)

    def unary(self, op: str, x: gs.Tensor, **attrs: Any) -> gs.Variable:
        """An operator that keeps shape and type: `Neg`, `Exp`, `Sqrt`, `Tanh`, ..."""
        return self.op(op, x, shape=list(x.shape), **attrs)

    def add(self, a: Operand, b: Operand) -> gs.Variable:
        return self._pointwise("Add", a, b)

    def sub(self, a: Operand, b: Operand) -> gs.Variable:
        return self._pointwise("Sub", a, b)

    def mul(self, a: Operand, b: Operand) -> gs.Variable:
        return self._pointwise("Mul", a, b)

    def div(self, a: Operand, b: Operand) -> gs.Variable:
        if isinstance(b, float):  # a runtime multiplies several times faster than it divides
            return self.mul(a, 1 / b if b else np.inf)  # b counts the elements of an empty tensor
        return self._pointwise("Div", a, b)

    def pow(self, a: Operand, b: Operand) -> gs.Variable:
        return self._pointwise("Pow", a, b)

    def greater(self, a: Operand, b: Operand) -> gs.Variable:
        return self._pointwise("Greater", a, b, dtype=np.dtype(bool))

    def less(self, a: Operand, b: Operand) -> gs.Variable:
        return self._pointwise("Less", a, b, dtype=np.dtype(bool))

    def equal(self, a: Operand, b: Operand) -> gs.Variable:
        return self._pointwise("Equal", a, b, dtype=np.dtype(bool))

    def logical_and(self, a: gs.Tensor, b: gs.Tensor) -> gs.Variable:
        return self._pointwise("And", a, b)

    def where(self, condition: gs.Tensor, a: Operand, b: Operand) -> gs.Variable:
        """`a` where the condition holds, else `b`."""
        x, y = self._operands(a, b)
        shape = broadcast(condition.shape, x.shape, y.shape)
        return self.op("Where", condition, x, y, shape=shape, dtype=x.dtype)

    def slice(self, x: gs.Tensor, axis: int, start: int, stop: int, step: int = 1) -> gs.Tensor:
        """`x[..., start:stop:step, ...]` along a negative axis, NumPy's meaning of the bounds."""
        shape = list(x.shape)
        size = shape[axis]
        if isinstance(size, int):
            shape[axis] = len(range(*slice(start, stop, step).indices(size)))
            if shape[axis] == size and step == 1:
                return x
        else:
            shape[axis] = None
        ints = (self.ints(value) for value in (start, stop, axis % len(shape), step))
        return self.op("Slice", x, *ints, shape=shape)

    def flip(self, x: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
        """Reverse the order along negative axes."""
        axes = [axis for axis in axes if x.shape[axis] != 1]
        if not axes:
            return x
        rank, n = len(x.shape), len(axes)
        lowest = np.iinfo(np.int64).min
        return self.op(
            "Slice",
            x,
            self.ints(*[-1] * n),
            self.ints(*[lowest] * n),
            self.ints(*(axis % rank for axis in axes)),
            self.ints(*[-1] * n),
            shape=list(x.shape),
        )

    def pad(
        self, x: gs.Tensor, amounts: dict[int, tuple[int, int]], value: float = 0.0
    ) -> gs.Tensor:
        """Pad along negative axes by (before, after); a negative amount crops."""
        for axis, (before, after) in amounts.items():
            if before < 0 or after < 0:
                stop = after if after < 0 else np.iinfo(np.int64).max
                x = self.slice(x, axis, max(0, -before), stop)
        kept = {axis: (max(0, b), max(0, a)) for axis, (b, a) in amounts.items()}
        if not any(b or a for b, a in kept.values()):
            return x
        rank = len(x.shape)
        ends = [kept.get(axis, (0, 0)) for axis in range(-rank, 0)]
        shape = [
            dim + before + after if isinstance(dim, int) else (dim if before + after == 0 else None)
            for dim, (before, after) in zip(x.shape, ends, strict=True)
        ]
        pads = self.ints(*(before for before, _ in ends), *(after for _, after in ends))
        fill = self.constant(value, x.dtype)
        return self.op("Pad", x, pads, fill, shape=shape, mode="constant")

    def reduce(
        self, op: str, x: gs.Tensor, axes: Sequence[int], keepdims: bool = True
    ) -> gs.Tensor:
        """`ReduceSum`, `ReduceMean`, `ReduceMax` over negative axes (opset's own form)."""
        if not axes:
            return x
        rank = len(x.shape)
        dims = sorted(axis % rank for axis in axes)
        shape = [1 if i in dims else d for i, d in enumerate(x.shape) if keepdims or i not in dims]
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.op(op, x, self.ints(*dims), shape=shape, keepdims=int(keepdims))
        return self.op(op, x, shape=shape, axes=dims, keepdims=int(keepdims))

    def matmul(self, a: gs.Tensor, b: gs.Tensor) -> gs.Variable:
        """Matrix product of the last two axes, the others broadcast; both of rank >= 2."""
        batch = broadcast(list(a.shape[:-2]), list(b.shape[:-2]))
        return self.op("MatMul", a, b, shape=[*batch, a.shape[-2], b.shape[-1]])
