"""Concat: every part gets its slice of the cotangent.

All of them in one go, because a network may join thousands of parts: where each begins is added
up once.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.registry import register
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter


class _Concat:
    kind = "rule"
    outputs = None
    ignored = ()
    quantizing = False

    def covers(self, i: int) -> bool:
        return True

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        (given,), y = dys, node.outputs[0]
        assert given is not None
        dy = dense(e, given)
        rank = len(y.shape)
        axis = node.attrs["axis"] % rank - rank
        if dy.shape[axis] == 1 and y.shape[axis] != 1:
            return [dy] * len(wanted)  # the same along the axis, so the same in every part
        starts = _starts(e, node.inputs, axis)
        return [self._part(e, dy, node.inputs[i], axis, starts[i], starts[i + 1]) for i in wanted]

    def _part(
        self,
        e: Emitter,
        dy: gs.Tensor,
        x: gs.Tensor,
        axis: int,
        start: int | gs.Tensor,
        stop: int | gs.Tensor,
    ) -> gs.Tensor:
        if isinstance(start, int) and isinstance(stop, int):
            return e.slice(dy, axis, start, stop)
        shape: Shape = [*dy.shape[:axis], x.shape[axis], *dy.shape[axis:][1:]]
        bounds = (e.ints(b) if isinstance(b, int) else b for b in (start, stop))
        return e.op("Slice", dy, *bounds, e.ints(axis % len(shape)), shape=shape)


def _starts(e: Emitter, parts: Sequence[gs.Tensor], axis: int) -> list[int | gs.Tensor]:
    """Where each part begins, and where the last one ends: numbers as far as they are known."""
    starts: list[int | gs.Tensor] = [0]
    for part in parts:
        before, length = starts[-1], part.shape[axis]
        if isinstance(before, int) and isinstance(length, int):
            starts.append(before + length)
        else:
            known = e.ints(before) if isinstance(before, int) else before
            starts.append(e.add(known, e.dim(part, axis)))
    return starts


register(_Concat(), ["Concat"])
