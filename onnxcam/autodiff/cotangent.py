"""What flows backwards.

A cotangent of a tensor y is an ordinary tensor shaped like y, with two liberties that make
gradients cheap:

* *Lazy broadcast.* Where it does not vary along an axis it may have length 1 there. The gradient
  of a global average pool stays (N, C, 1, 1) and costs nothing. A rule that mixes positions along
  an axis asks for the full length with `full`, one that sums over an axis uses `sum_over`.
* *A leading axis.* Several targets are differentiated at once by one more axis in front of y's
  own. Rules therefore count axes from the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter


@dataclass(frozen=True)
class OneHot:
    """Cotangent of `scores[n, index[n]]`, kept as the index until somebody needs the zeros.

    `index` is int64, (N,) or (K, N) for K targets; the scores are (N, classes). A linear layer
    gathers the weight rows it needs instead of multiplying a matrix by zeros.
    """

    index: gs.Tensor
    classes: int
    dtype: np.dtype

    @property
    def shape(self) -> Shape:
        return [*self.index.shape, self.classes]

    def dense(self, e: Emitter) -> gs.Tensor:
        """The cotangent with its zeros."""
        # Compared with a row of numbers: ONNX Runtime's own OneHot knows few element types.
        numbers = e.constant(np.arange(self.classes), np.int64)
        hits = e.equal(e.unsqueeze(self.index, [-1]), numbers)
        return e.cast(hits, self.dtype)


Cotangent: TypeAlias = gs.Tensor | OneHot


def dense(e: Emitter, dy: Cotangent) -> gs.Tensor:
    """A cotangent as a tensor, zeros and all."""
    return dy.dense(e) if isinstance(dy, OneHot) else dy


def all_dense(e: Emitter, dys: Sequence[Cotangent | None]) -> list[gs.Tensor | None]:
    """The cotangents of an operator's outputs as tensors; None stays where nothing flows."""
    return [None if dy is None else dense(e, dy) for dy in dys]


def lead(dy: gs.Tensor, y: gs.Tensor) -> int:
    """How many leading axes (of several targets) a cotangent has in front of its primal's."""
    return len(dy.shape) - len(y.shape)


def full(e: Emitter, dy: gs.Tensor, y: gs.Tensor, axes: Sequence[int] | None = None) -> gs.Tensor:
    """The cotangent at its primal's full length along negative axes (all by default)."""
    return e.expand(dy, y, axes)


def sum_over(
    e: Emitter, dy: gs.Tensor, y: gs.Tensor, axes: Sequence[int], keepdims: bool = True
) -> gs.Tensor:
    """Sum of a cotangent over negative axes of its primal, lazy axes counted in full."""
    lazy = [axis for axis in axes if dy.shape[axis] == 1 and y.shape[axis] != 1]
    if lazy:
        dy = e.mul(dy, e.size(y, lazy))
    long = [axis for axis in axes if dy.shape[axis] != 1]
    if keepdims:
        return e.reduce("ReduceSum", dy, long)
    return e.squeeze(e.reduce("ReduceSum", dy, long), axes)


def sum_per_channel(e: Emitter, dy: gs.Tensor, y: gs.Tensor) -> gs.Tensor:
    """A cotangent of y, (N, C, ...), summed to (C,)."""
    rank = len(y.shape)
    return sum_over(e, dy, y, [-rank, *range(2 - rank, 0)], keepdims=False)


def mean_over(e: Emitter, dy: gs.Tensor, axes: Sequence[int], keepdims: bool = True) -> gs.Tensor:
    """Mean of a cotangent over negative axes; along a lazy axis it is its own mean."""
    long = [axis for axis in axes if dy.shape[axis] != 1]
    mean = e.reduce("ReduceMean", dy, long)
    return mean if keepdims else e.squeeze(mean, axes)


def unbroadcast(e: Emitter, dx: gs.Tensor, x: gs.Tensor, y: gs.Tensor) -> gs.Tensor:
    """Sum a cotangent shaped like y down to an operand x that was broadcast to y.

    A dimension whose length is unknown at rewriting counts as not broadcast: the symbols of
    `onnxcam.graph.shapes` are equal only where the lengths are.
    """
    rank_x, rank_y = len(x.shape), len(y.shape)
    dropped = list(range(-rank_y, -rank_x))
    shrunk = [axis for axis in range(-rank_x, 0) if x.shape[axis] == 1 and y.shape[axis] != 1]
    dx = sum_over(e, dx, y, shrunk)
    return sum_over(e, dx, y, dropped, keepdims=False) if dropped else dx


def fold(e: Emitter, dy: gs.Tensor, y: gs.Tensor) -> gs.Tensor:
    """Merge a leading axis into the batch, for operators that know only one batch axis."""
    if not lead(dy, y):
        return dy
    k, n, *rest = dy.shape
    dims: Shape = [k * n if isinstance(k, int) and isinstance(n, int) else None, *rest]
    sizes = [e.mul(e.dim(dy, -len(y.shape)), k), *(e.dim(dy, a) for a in range(-len(rest), 0))]
    return e.reshape(dy, dims, sizes)


def unfold(e: Emitter, dx: gs.Tensor, dy: gs.Tensor, x: gs.Tensor) -> gs.Tensor:
    """Undo `fold`: dx has the batch of the folded dy and the other dimensions of x."""
    if len(dy.shape) == len(x.shape):
        return dx
    dims = [*dy.shape[:2], *dx.shape[1:]]
    sizes = [e.dim(dy, -len(dy.shape)), e.dim(dy, 1 - len(dy.shape))]
    sizes += [e.dim(dx, axis) for axis in range(1 - len(dx.shape), 0)]
    return e.reshape(dx, dims, sizes)
