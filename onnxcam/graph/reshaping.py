"""Emitting what reads, changes and spreads the shapes of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Shape, broadcast, is_static
from onnxcam.graph.emission import Emission
from onnxcam.graph.network import Network


class Reshaping(Emission):
    """Shapes and their dimensions as tensors, and tensors of other shapes.

    What is known of a shape is stored, only the rest is computed in the run. Axes are negative
    (counted from the end) wherever a tensor may carry leading axes in front of its own.
    """

    def __init__(self, network: Network, outer: Reshaping | None = None) -> None:
        super().__init__(network, outer)
        self._shapes: dict[str, gs.Variable] = dict(outer._shapes) if outer else {}

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

    def size(self, x: gs.Tensor, axes: Sequence[int]) -> gs.Tensor | float:
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
