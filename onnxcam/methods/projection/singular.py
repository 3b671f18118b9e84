"""The first singular vector of a matrix, in operators that every runtime has.

There is no SVD in ONNX. The first eigenvector of a symmetric matrix without negative eigenvalues
comes out of repeated squaring: in G^m the others fade like (lambda_i / lambda_1)^m, and m doubles
with every step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.rules.positions import positions
from onnxcam.graph.body import close
from onnxcam.graph.dims import Shape, broadcast
from onnxcam.graph.emitter import Emitter

STEPS = 16
"""Squarings at most. Beyond m = 2^16 it is the rounding of float32 that limits the vector."""

PURE = 0.999
"""Share of the first eigenvalue, squared, at which one more squaring is the last."""

_TINY = 1e-30
"""Keeps the vectors of a zero matrix at zero; beside anything else it is nothing."""


def first_scores(e: Emitter, x: gs.Tensor, weights: gs.Tensor | None = None) -> gs.Tensor:
    """Projection of a cloud of points on its first principal axis, up to the sign.

    `x` is float32 (..., C, P): P points in C dimensions, with mean zero. `weights` (..., C, 1)
    stretch the dimensions; axes in front may be more than those of `x`. The result, (..., 1, P), is
    sigma_1 v_1^T of the singular value decomposition. The eigenvector is taken of the smaller of
    X^T X and X X^T; where the number of points is open, the run decides which.

    Singular values of which sigma_2^2 / sigma_1^2 is within about 1e-4 of one have no first: the
    result is then a mixture of both vectors, as it is with any solver in float32. Values should
    be larger than 1e-12, because their squares are taken.
    """
    c, p = x.shape[-2:]
    if isinstance(c, int) and isinstance(p, int):
        return _by_points(e, x, weights) if p <= c else _by_dimensions(e, x, weights)
    return _by_the_smaller(e, x, weights)


def _by_points(e: Emitter, x: gs.Tensor, weights: gs.Tensor | None) -> gs.Tensor:
    stretched = x if weights is None else e.mul(x, e.mul(weights, weights))
    gram = e.matmul(e.transpose(x, (1, 0)), stretched)
    return e.transpose(_component(e, gram, first_eigenvector(e, gram)), (1, 0))


def _by_dimensions(e: Emitter, x: gs.Tensor, weights: gs.Tensor | None) -> gs.Tensor:
    gram = e.matmul(x, e.transpose(x, (1, 0)))
    if weights is None:
        axis = first_eigenvector(e, gram)
    else:
        gram = e.mul(e.mul(gram, weights), e.transpose(weights, (1, 0)))
        axis = e.mul(first_eigenvector(e, gram), weights)
    return e.matmul(e.transpose(axis, (1, 0)), x)


def _by_the_smaller(e: Emitter, x: gs.Tensor, weights: gs.Tensor | None) -> gs.Tensor:
    lead = x.shape[:-2] if weights is None else broadcast(x.shape[:-2], weights.shape[:-2])

    def branch(way: Callable[[Emitter, gs.Tensor, gs.Tensor | None], gs.Tensor]) -> gs.Graph:
        inner = Emitter(e.network, e)
        return close(inner, [], [way(inner, x, weights)])

    [scores] = e.several(
        "If",
        [e.reshape(e.greater(e.dim(x, -2), e.dim(x, -1)), [])],
        [[*lead, 1, x.shape[-1]]],
        [x.dtype],
        then_branch=branch(_by_points),
        else_branch=branch(_by_dimensions),
    )
    return scores


def first_component_of(e: Emitter, kernel: gs.Tensor) -> gs.Tensor:
    """sqrt(lambda_1) u_1 of a symmetric matrix (..., n, n) and its largest eigenvalue.

    That is not the largest in absolute terms where the matrix has negative ones. (..., n, 1).
    """
    bound = e.unary("Sqrt", _sum_of_squares(e, kernel))
    here = positions(e, kernel, -1)
    diagonal = e.cast(e.equal(e.unsqueeze(here, [-1]), here), kernel.dtype)
    return _component(e, kernel, first_eigenvector(e, e.add(kernel, e.mul(diagonal, bound))))


def _component(e: Emitter, matrix: gs.Tensor, u: gs.Tensor) -> gs.Tensor:
    """sqrt(lambda) u of an eigenvector."""
    image = e.matmul(matrix, u)  # lambda u: closer than u by one more step
    value = e.reduce("ReduceSum", e.mul(u, image), [-2])
    return e.div(image, e.unary("Sqrt", e.add(value, _TINY)))


def first_eigenvector(e: Emitter, gram: gs.Tensor) -> gs.Tensor:
    """Unit eigenvector (..., n, 1) to the largest eigenvalue of a positive semidefinite matrix.

    The matrix may be of any scale between 1e-12 and 1e12. It is zero for a zero matrix.
    """
    power = _pure_power(e, _squared(e, gram, _sum_of_squares(e, gram)))
    # It is lambda u u^T by now. Its longest column cannot be a rounding error of u_i = 0.
    lengths = e.reduce("ReduceSum", e.mul(power, power), [-1], keepdims=False)
    rank = len(lengths.shape)
    longest: gs.Tensor = e.op(
        "ArgMax",
        lengths,
        shape=[*lengths.shape[:-1], 1],
        dtype=np.dtype(np.int64),
        axis=rank - 1,
        keepdims=1,
    )
    index = e.expand(e.unsqueeze(longest, [-1]), power, [-2])
    column_shape: Shape = [*power.shape[:-1], 1]
    column = e.op("GatherElements", power, index, shape=column_shape, axis=rank)
    length = e.reduce("ReduceSum", e.mul(column, column), [-2])
    return e.div(column, e.unary("Sqrt", e.add(length, _TINY)))


def _pure_power(e: Emitter, power: gs.Tensor) -> gs.Tensor:
    """A matrix of trace one, squared and set to trace one again until it has rank one.

    Its squares sum to one exactly when it has: sum lambda_i^2 = (sum lambda_i)^2.
    """
    step = gs.Variable(e.name("step"), np.dtype(np.int64), [])
    more = gs.Variable(e.name("more"), np.dtype(bool), [])
    before = gs.Variable(e.name("power"), power.dtype, list(power.shape))
    inner = Emitter(e.network, e)
    purity = _sum_of_squares(inner, before)
    rank = len(power.shape)
    lowest = inner.reduce("ReduceMin", purity, range(-rank, 0), keepdims=False)
    go_on = inner.less(lowest, PURE)
    body = close(inner, [step, more, before], [go_on, _squared(inner, before, purity)])
    start = [e.constant(STEPS, np.int64), e.constant(True, bool), power]
    [last] = e.several("Loop", start, [list(power.shape)], [power.dtype], body=body)
    return last


def _squared(e: Emitter, matrix: gs.Tensor, sum_of_squares: gs.Tensor) -> gs.Tensor:
    """The square of a symmetric matrix, set to trace one."""
    return e.div(e.matmul(matrix, matrix), e.add(sum_of_squares, _TINY))


def _sum_of_squares(e: Emitter, matrix: gs.Tensor) -> gs.Tensor:
    return e.reduce("ReduceSumSquare", matrix, [-2, -1])
