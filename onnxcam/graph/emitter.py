"""Emitting ONNX nodes behind an existing graph, with shapes known as far as they can be.

Every helper adds at most a few nodes and returns a tensor whose shape is set, so that what is
emitted later can stay static. Axes are negative (counted from the end) wherever a tensor may
carry leading axes in front of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Shape, broadcast, is_static
from onnxcam.graph.network import Network

Operand: TypeAlias = gs.Tensor | float | int


class Emitter:
    """Collects the nodes that are appended to a network.

    `nodes` are in topological order; their names and those of their outputs start with
    `onnxcam/` (`onnxcam/2/` in a model that carries such names already, and so on), so that they
    cannot meet a name of the model.
    """

    def __init__(self, network: Network, outer: Emitter | None = None) -> None:
        """`outer` emits the graph that this one's nodes are nested in, and sees before them."""
        self.network = network
        self.opset = network.opset
        self.nodes: list[gs.Node] = []
        self.prefix: str = outer.prefix if outer else _free_prefix(network)
        self._numbers: Iterator[int] = outer._numbers if outer else count(1)
        self._constants: dict[tuple[Any, ...], gs.Constant] = outer._constants if outer else {}
        self._shapes: dict[str, gs.Variable] = dict(outer._shapes) if outer else {}
        self._casts: dict[tuple[str, np.dtype], gs.Variable] = dict(outer._casts) if outer else {}

    # -- the two primitives -------------------------------------------------------------------

    def op(
        self,
        op: str,
        *inputs: gs.Tensor,
        shape: Shape | None,
        dtype: Any = None,
        **attrs: Any,
    ) -> gs.Variable:
        """Emit one node with one output of the given shape; `dtype` defaults to input 0's."""
        name = self.name(op)
        output = gs.Variable(name, dtype=dtype or inputs[0].dtype, shape=shape)
        kept = {key: value for key, value in attrs.items() if not _is_empty(value)}
        self.nodes.append(
            gs.Node(op=op, name=name, attrs=kept, inputs=list(inputs), outputs=[output])
        )
        return output

    def several(
        self,
        op: str,
        inputs: Sequence[gs.Tensor],
        shapes: Sequence[Shape],
        dtypes: Sequence[Any],
        **attrs: Any,
    ) -> list[gs.Variable]:
        """Emit one node with several outputs of the given shapes and types."""
        name = self.name(op)
        outputs = [
            gs.Variable(f"{name}_{k}", dtype=np.dtype(dtype), shape=list(shape))
            for k, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
        ]
        kept = {key: value for key, value in attrs.items() if not _is_empty(value)}
        self.nodes.append(
            gs.Node(op=op, name=name, attrs=kept, inputs=list(inputs), outputs=outputs)
        )
        return outputs

    def name(self, what: str) -> str:
        """A name that nothing else has."""
        return f"{self.prefix}/{what}_{next(self._numbers)}"

    def constant(self, value: Any, dtype: Any = None) -> gs.Constant:
        """A stored value; equal ones are stored once."""
        array = np.array(value, dtype=dtype)  # 0-d stays 0-d
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"{self.prefix}/constant_{len(self._constants) + 1}"
            self._constants[key] = gs.Constant(name, array)
        return self._constants[key]

    def ints(self, *values: int) -> gs.Constant:
        """A 1-D int64 constant: axes, shapes, pads."""
        return self.constant(list(values), np.int64)

    # -- element by element -------------------------------------------------------------------

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

    def cast(self, x: gs.Tensor, dtype: Any) -> gs.Tensor:
        """`x` as another element type; itself when it is one already."""
        if x.dtype == np.dtype(dtype):
            return x
        key = (x.name, np.dtype(dtype))
        if key not in self._casts:
            to = _elem_type(np.dtype(dtype))
            shape = None if x.shape is None else list(x.shape)
            self._casts[key] = self.op("Cast", x, shape=shape, dtype=key[1], to=to)
        return self._casts[key]

    # -- shapes -------------------------------------------------------------------------------

    def shape(self, x: gs.Tensor) -> gs.Tensor:
        """The shape as a 1-D int64 tensor: stored when it is static, else a `Shape` node."""
        if is_static(x.shape):
            return self.ints(*x.shape)
        if x.name not in self._shapes:
            rank: Shape | None = None if x.shape is None else [len(x.shape)]
            self._shapes[x.name] = self.op("Shape", x, shape=rank, dtype=np.dtype(np.int64))
        return self._shapes[x.name]

    def dim(self, x: gs.Tensor, axis: int) -> gs.Tensor:
        """One dimension as a 1-D int64 tensor of one element."""
        size = x.shape[axis]
        if isinstance(size, int):
            return self.ints(size)
        return self.op("Gather", self.shape(x), self.ints(axis % len(x.shape)), shape=[1], axis=0)

    def size(self, x: gs.Tensor, axes: Sequence[int]) -> Operand:
        """Product of some dimensions: a number when static, else a scalar tensor of x's type."""
        dims = [x.shape[axis] for axis in axes]
        if is_static(dims):
            return float(np.prod(dims, dtype=np.int64))
        rank = len(x.shape)
        picked = self.op(
            "Gather",
            self.shape(x),
            self.ints(*(axis % rank for axis in axes)),
            shape=[len(axes)],
            axis=0,
        )
        product = self.op("ReduceProd", picked, shape=[], keepdims=0)
        return self.cast(product, x.dtype)

    def concat(self, parts: Sequence[gs.Tensor], axis: int) -> gs.Tensor:
        """Join along a negative axis."""
        if len(parts) == 1:
            return parts[0]
        rank = len(parts[0].shape)
        shape = broadcast(*(list(part.shape) for part in parts))
        dims = [part.shape[axis] for part in parts]
        shape[axis] = sum(dims) if is_static(dims) else None
        return self.op("Concat", *parts, shape=shape, axis=axis % rank)

    def reshape(self, x: gs.Tensor, dims: Shape, sizes: Sequence[gs.Tensor] = ()) -> gs.Tensor:
        """`x` with new dimensions.

        Up to one of `dims` may be other than a number. With more of them, `sizes` gives every
        dimension as a 1-D int64 tensor; `UnsupportedOperatorError` where it is not given.
        """
        x = self._before_reshapes(x)
        if list(x.shape) == list(dims) and None not in dims:
            return x
        scaled = self._scaled(x)
        if scaled is not None:  # a factor moved to the end can be fused into a matrix product
            return self.op("Mul", self.reshape(scaled[0], dims, sizes), scaled[1], shape=list(dims))
        unknown = [i for i, dim in enumerate(dims) if not isinstance(dim, int)]
        if len(unknown) <= 1:
            # 0 keeps x's own length, -1 is worked out: a runtime sees only of the former what it is
            own = dict(enumerate(x.shape))
            free = [0 if d is not None and d == own.get(i) else -1 for i, d in enumerate(dims)]
            pairs = zip(dims, free, strict=True)
            target: gs.Tensor = self.ints(*(d if isinstance(d, int) else f for d, f in pairs))
        elif sizes:
            target = self.concat(list(sizes), -1)
        else:
            raise UnsupportedOperatorError(
                f"a gradient through '{x.name}' needs sizes that only the run knows; "
                f"fix the model's input size"
            )
        return self.op("Reshape", x, target, shape=list(dims))

    def reshape_like(self, x: gs.Tensor, like: gs.Tensor, lead: int = 0) -> gs.Tensor:
        """`x` with the dimensions of `like` behind its own first `lead` axes."""
        dims = list(x.shape[:lead]) + list(like.shape)
        sizes = [self.dim(x, axis - len(x.shape)) for axis in range(lead)]
        return self.reshape(x, dims, [*sizes, self.shape(like)])

    def squeeze(self, x: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
        """Drop axes of length 1."""
        rank = len(x.shape)
        dropped = sorted(axis % rank for axis in axes)
        shape = [dim for i, dim in enumerate(x.shape) if i not in dropped]
        return self._axes_op("Squeeze", x, dropped, shape)

    def unsqueeze(self, x: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
        """Insert axes of length 1; `axes` count in the result."""
        rank = len(x.shape) + len(axes)
        inserted = sorted(axis % rank for axis in axes)
        rest = iter(x.shape)
        shape = [1 if i in inserted else next(rest) for i in range(rank)]
        return self._axes_op("Unsqueeze", x, inserted, shape)

    def _axes_op(self, op: str, x: gs.Tensor, axes: list[int], shape: Shape) -> gs.Tensor:
        if not axes:
            return x
        if self._before_reshapes(x) is not x and sum(not isinstance(d, int) for d in shape) <= 1:
            return self.reshape(x, shape)
        if self.opset >= 13:
            return self.op(op, x, self.ints(*axes), shape=shape)
        return self.op(op, x, shape=shape, axes=axes)

    def _scaled(self, x: gs.Tensor) -> tuple[gs.Tensor, gs.Constant] | None:
        """(y, factor) of an emitted tensor that is y times a stored number."""
        if not isinstance(x, gs.Variable) or not x.inputs or not x.name.startswith(self.prefix):
            return None
        node = x.inputs[0]
        if node.op != "Mul" or not isinstance(node.inputs[1], gs.Constant):
            return None
        y, factor = node.inputs
        return (y, factor) if not factor.shape and y.name.startswith(self.prefix) else None

    def _before_reshapes(self, x: gs.Tensor) -> gs.Tensor:
        """What an emitted tensor is a mere reshape of: one `Reshape` of that does for a chain."""
        while isinstance(x, gs.Variable) and x.inputs and x.name.startswith(self.prefix):
            node = x.inputs[0]
            if node.op not in ("Reshape", "Squeeze", "Unsqueeze"):
                break
            x = node.inputs[0]
        return x

    def transpose(self, x: gs.Tensor, perm: Sequence[int]) -> gs.Tensor:
        """Permute axes; `perm` may be of the last axes only (leading ones stay)."""
        lead = len(x.shape) - len(perm)
        full = [*range(lead), *(lead + axis for axis in perm)]
        if full == sorted(full):
            return x
        return self.op("Transpose", x, shape=[x.shape[i] for i in full], perm=full)

    def expand(self, x: gs.Tensor, like: gs.Tensor, axes: Sequence[int] | None = None) -> gs.Tensor:
        """Repeat `x` along those (negative) axes where it has length 1 and `like` does not."""
        rank = len(like.shape)
        wanted = range(-rank, 0) if axes is None else axes
        spread = [axis for axis in wanted if x.shape[axis] == 1 and like.shape[axis] != 1]
        if not spread:
            return x
        dims: Shape = [like.shape[a] if a in spread else 1 for a in range(-rank, 0)]
        if is_static(dims):
            target: gs.Tensor = self.ints(*(int(d) for d in dims if d is not None))
        else:
            target = self.concat(
                [self.dim(like, a) if a in spread else self.ints(1) for a in range(-rank, 0)], -1
            )
        return self.op("Expand", x, target, shape=broadcast(list(x.shape), dims))

    # -- parts and sums -----------------------------------------------------------------------

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


def _is_empty(attribute: Any) -> bool:
    """Whether an attribute says nothing: None, or a list without a type to be written with."""
    return attribute is None or (isinstance(attribute, list) and not attribute)


def _free_prefix(network: Network) -> str:
    taken = [*network.tensors, *(node.name for node in network.graph.nodes)]
    prefix, number = "onnxcam", 1
    while any(name.startswith(f"{prefix}/") for name in taken):
        number += 1
        prefix = f"onnxcam/{number}"
    return prefix


def _elem_type(dtype: np.dtype) -> int:
    return int(onnx.helper.np_dtype_to_tensor_dtype(dtype))
