"""If: each branch gets its own backward pass, chosen by the same condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, OneHot, all_dense, dense, full
from onnxcam.autodiff.precision import cotangent_dtype
from onnxcam.autodiff.registry import Table, derivative_of, register
from onnxcam.autodiff.walk import pull_back
from onnxcam.graph.body import close, enter
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import operands


def leading_dims(outputs: Sequence[gs.Tensor], dys: Sequence[gs.Tensor | None]) -> Shape:
    """The leading axes (of several targets) that the cotangents have."""
    pairs = zip(outputs, dys, strict=True)
    return next(list(dy.shape[: len(dy.shape) - len(y.shape)]) for y, dy in pairs if dy is not None)


def full_or_zeros(
    e: Emitter, dx: Cotangent | None, x: gs.Tensor, leading: Shape, like: gs.Tensor | None
) -> gs.Tensor:
    """A cotangent of x at its full shape, zeros where there is none.

    `like` is a cotangent that has the leading axes, where there are any.
    """
    if dx is None:
        zero = e.constant(np.zeros([1] * (len(leading) + len(x.shape))), cotangent_dtype(x))
        whole = full(e, zero, x)
        if not leading:
            return whole
        assert like is not None
        sizes = [e.dim(like, k - len(like.shape)) for k in range(len(leading))]
        target = e.concat([*sizes, e.shape(x)], -1)
        return e.op("Expand", whole, target, shape=[*leading, *x.shape])
    return full(e, dense(e, dx), x)


@dataclass(frozen=True)
class _Branches:
    """`If` (opset 11 on). Its operands are the condition and what the branches read outside."""

    kind = "control flow"
    outputs = None
    ignored = ()
    quantizing = False
    table: Table = derivative_of

    def covers(self, i: int) -> bool:
        return i > 0

    def within(self, table: Table) -> _Branches:
        return replace(self, table=table)

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        sources = [operands(node)[i] for i in wanted]
        given = all_dense(e, dys)
        known = e.network.value(node.inputs[0])
        if known is not None:  # only one branch is ever taken
            branch = node.attrs["then_branch" if known.all() else "else_branch"]
            inner = enter(e, branch)
            found = self._through(inner, given, sources)
            e.nodes.extend(inner.nodes)
            return [found.get(x.name) for x in sources]
        branches = {}
        for key in ("then_branch", "else_branch"):
            inner = enter(e, node.attrs[key])
            found = self._through(inner, given, sources)
            leading = leading_dims(node.outputs, given)
            like = next(dy for dy in given if dy is not None)
            dxs = [full_or_zeros(inner, found.get(x.name), x, leading, like) for x in sources]
            branches[key] = close(inner, [], dxs)
        shapes = [[*leading, *x.shape] for x in sources]
        types = [cotangent_dtype(x) for x in sources]
        return list(e.several("If", [node.inputs[0]], shapes, types, **branches))

    def _through(
        self, inner: Emitter, dys: Sequence[gs.Tensor | None], sources: Sequence[gs.Tensor]
    ) -> dict[str, Cotangent]:
        results = inner.network.graph.outputs
        seeds = total_seeds(inner, results, dys)
        names = [x.name for x in sources]
        return pull_back(inner, inner.network.graph.nodes, seeds, names, self.table)


def total_seeds(
    inner: Emitter, results: Sequence[gs.Tensor], dys: Sequence[gs.Tensor | None]
) -> dict[str, Cotangent]:
    """Cotangents by name of a body's outputs; one that is an output twice gets the sum."""
    seeds: dict[str, Cotangent] = {}
    for result, dy in zip(results, dys, strict=True):
        if dy is not None:
            before = seeds.get(result.name)
            assert not isinstance(before, OneHot)
            seeds[result.name] = dy if before is None else inner.add(before, dy)
    return seeds


register(_Branches(), ["If"])
