"""Padding: constant padding is cut off again, copied values are added up where they came from."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full, lead, sum_over
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.positions import positions
from onnxcam.autodiff.rules.selection import picked_product, scatter
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, given


@vjp("Pad", wrt=(0, 2))
def pad(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """What is inside flows to the data, what is around it to the constant."""
    x, y = node.inputs[0], node.outputs[0]
    mode = node.attrs.get("mode", "constant")
    if i == 2:
        every = range(-len(y.shape), 0)
        whole = sum_over(e, dy, y, every, keepdims=False)
        inside = full(e, pad(e, node, 0, dy), x)
        return e.sub(whole, e.reduce("ReduceSum", inside, every, keepdims=False))
    amounts = _amounts(e, node)
    if amounts is None:
        dy = full(e, dy, y)
        return _cut_off(e, node, dy) if mode == "constant" else _folded(e, node, dy, mode)
    dy = full(e, dy, y, list(amounts))
    if mode == "constant":
        return e.pad(dy, {axis: (-begin, -end) for axis, (begin, end) in amounts.items()})
    for axis, around in amounts.items():
        size = x.shape[axis]
        if isinstance(size, int) and min(around) >= 0:
            copied = np.pad(np.arange(size), around, mode=mode)  # the modes have NumPy's names
            dy = scatter(e, dy, copied, axis, size)
        else:
            dy = _folded_along(e, dy, x, axis, e.ints(*around), mode)
    return dy


def _given_axes(e: Emitter, node: gs.Node) -> list[int] | None:
    """The padded axes, negative; None where only the run knows them."""
    rank = len(node.inputs[0].shape)
    axes = given(node, 3)
    if axes is None:
        return list(range(-rank, 0))
    listed = e.network.value(axes)
    return None if listed is None else [int(axis) % rank - rank for axis in listed.ravel()]


def _amounts(e: Emitter, node: gs.Node) -> dict[int, tuple[int, int]] | None:
    """(in front, behind) by negative axis, where there is any; None where only the run knows."""
    given, axes = e.network.value(node.inputs[1]), _given_axes(e, node)
    if given is None or axes is None:
        return None
    begins, ends = np.array(given, dtype=int).reshape(2, -1)
    return {
        axis: (int(begin), int(end))
        for axis, begin, end in zip(axes, begins, ends, strict=True)
        if begin or end
    }


def _run_time_axes(e: Emitter, node: gs.Node) -> list[int]:
    axes = _given_axes(e, node)
    if axes is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} computes its axes at run time, which has no derivative here; "
            f"fold the model's constants first"
        )
    return axes


def _amount(e: Emitter, node: gs.Node, number: int) -> gs.Tensor:
    """One of the amounts, as a 1-D tensor."""
    return e.op("Gather", node.inputs[1], e.ints(number), shape=[1], axis=0)


def _cut_off(e: Emitter, node: gs.Node, dy: gs.Tensor) -> gs.Tensor:
    """The same padding with the sign turned: positive amounts cut, negative ones pad."""
    x = node.inputs[0]
    axes, rank, leading = _run_time_axes(e, node), len(x.shape), lead(dy, x)
    parts = [e.ints(0)] * (2 * (leading + rank))
    for number, axis in enumerate(axes):
        for side in (0, 1):
            turned = e.unary("Neg", _amount(e, node, number + side * len(axes)))
            parts[axis + (side + 1) * (leading + rank)] = turned
    shape: Shape = [*dy.shape[:leading], *x.shape]
    fill = e.constant(0, dy.dtype)
    return e.op("Pad", dy, e.concat(parts, -1), fill, shape=shape, mode="constant")


def _folded(e: Emitter, node: gs.Node, dy: gs.Tensor, mode: str) -> gs.Tensor:
    axes = _run_time_axes(e, node)
    for number, axis in enumerate(axes):
        amounts = [_amount(e, node, number + side * len(axes)) for side in (0, 1)]
        dy = _folded_along(e, dy, node.inputs[0], axis, e.concat(amounts, -1), mode)
    return dy


def _folded_along(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, axis: int, amounts: gs.Tensor, mode: str
) -> gs.Tensor:
    """Copies added up along an axis: padding the positions the same way says whose they are."""
    every = positions(e, x, axis)
    source = e.op("Pad", every, amounts, shape=[dy.shape[axis]], mode=mode)
    hits = e.equal(e.unsqueeze(source, [1]), every)
    return picked_product(e, dy, e.cast(hits, dy.dtype), axis)
