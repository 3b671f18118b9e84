"""Slice: values put back where they were cut from, zeros around and between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.positions import positions
from onnxcam.autodiff.rules.structure import spread
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, given


@dataclass(frozen=True)
class Cut:
    """How one (negative) axis is cut: entry `number` of the node's starts, ends and steps.

    `start` and `step` are None where only the run knows them.
    """

    number: int
    axis: int
    start: int | None
    step: int | None


@vjp("Slice")
def slice_(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, y = node.inputs[0], node.outputs[0]
    for cut in _cuts(e, node):
        dy = full(e, dy, y, [cut.axis])
        start, step = cut.start, cut.step
        size, length = x.shape[cut.axis], dy.shape[cut.axis]
        if start is not None and isinstance(size, int):
            start = slice(start, None, step).indices(size)[0] if step else None
        if start is None or step is None:
            dy = _placed(e, dy, node, cut)
        elif isinstance(size, int) and isinstance(length, int):
            dy = _unslice(e, dy, cut.axis, start, step, size)
        elif start >= 0 and step == 1:
            dy = _pad_to(e, dy, x, cut.axis, start)
        else:
            dy = _placed(e, dy, node, cut)
    return dy


def _cuts(e: Emitter, node: gs.Node) -> Iterator[Cut]:
    """Every axis that is really cut."""
    x, y = node.inputs[0], node.outputs[0]
    rank = len(x.shape)
    count = node.inputs[1].shape[0]
    known = [e.network.value(t) if t.name else None for t in node.inputs]
    starts, _, axes, steps = [*known[1:], None, None, None][:4]
    given = [len(node.inputs) > k and bool(node.inputs[k].name) for k in range(5)]
    if (axes is None and given[3]) or not isinstance(count, int):
        raise UnsupportedOperatorError(
            f"{describe(node)} computes its axes at run time, which has no derivative here; "
            f"fold the model's constants first"
        )
    axes = np.arange(count) if axes is None else axes
    steps = np.ones(count, dtype=int) if not given[4] else steps
    for k in range(count):
        axis = int(axes[k]) % rank - rank
        start = None if starts is None else int(starts[k])
        step = None if steps is None else int(steps[k])
        size = x.shape[axis]
        if size == y.shape[axis] and size is not None and step == 1:
            continue
        yield Cut(k, axis, start, step)


def _unslice(e: Emitter, dy: gs.Tensor, axis: int, start: int, step: int, size: int) -> gs.Tensor:
    length = dy.shape[axis]
    if step < 0:
        dy = e.flip(dy, [axis])
        start, step = start + (length - 1) * step, -step
    dy = spread(e, dy, axis, step)
    return e.pad(dy, {axis: (start, size - start - length * step)})


def _pad_to(e: Emitter, dy: gs.Tensor, x: gs.Tensor, axis: int, start: int) -> gs.Tensor:
    """Pad an axis to a length that only the run knows."""
    rank = len(dy.shape)
    at = axis % rank
    after = e.sub(e.sub(e.dim(x, axis), e.dim(dy, axis)), start)
    pads = [e.ints(*([0] * at + [start] + [0] * (rank - 1))), after, e.ints(*[0] * (-axis - 1))]
    fill = e.constant(0, dy.dtype)
    shape = _with_length(dy, axis, x)
    return e.op("Pad", dy, e.concat(pads, -1), fill, shape=shape, mode="constant")


def _placed(e: Emitter, dy: gs.Tensor, node: gs.Node, cut: Cut) -> gs.Tensor:
    """The same for bounds that only the run knows: the cut of the positions says which they are."""
    x, axis = node.inputs[0], cut.axis
    bounds = [_entry(e, t, cut.number) for t in node.inputs[1:3]]
    steps = given(node, 4)
    step = e.ints(1) if steps is None else _entry(e, steps, cut.number)
    every = positions(e, x, axis)
    index = e.op("Slice", every, *bounds, e.ints(0), step, shape=[dy.shape[axis]])
    # Every position of x takes the value whose number stands there, else the zero behind the last.
    behind = e.op("Expand", e.dim(dy, axis), e.shape(every), shape=list(every.shape))
    numbers = positions(e, dy, axis)
    source = e.op("ScatterElements", behind, index, numbers, shape=list(every.shape), axis=0)
    longer = e.pad(dy, {axis: (0, 1)})
    shape = _with_length(dy, axis, x)
    return e.op("Gather", longer, source, shape=shape, axis=axis % len(shape))


def _entry(e: Emitter, t: gs.Tensor, number: int) -> gs.Tensor:
    """One entry of a 1-D tensor of integers, still 1-D."""
    return e.cast(e.op("Gather", t, e.ints(number), shape=[1], axis=0), np.int64)


def _with_length(dy: gs.Tensor, axis: int, x: gs.Tensor) -> Shape:
    shape = list(dy.shape)
    shape[axis] = x.shape[axis]
    return shape
