"""Padding: constant padding is cut off again, copied values are added up where they came from."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.selection import scatter
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@vjp("Pad")
def pad(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, y = node.inputs[0], node.outputs[0]
    amounts = _amounts(e, node)
    mode = node.attrs.get("mode", "constant")
    dy = full(e, dy, y, list(amounts))
    if mode == "constant":
        return e.pad(dy, {axis: (-begin, -end) for axis, (begin, end) in amounts.items()})
    for axis, around in amounts.items():
        size = x.shape[axis]
        if not isinstance(size, int) or min(around) < 0:
            raise UnsupportedOperatorError(
                f"{describe(node)} pads by '{mode}' a dimension whose length only the run knows, "
                f"which has no derivative here; fix the model's input size"
            )
        copied = np.pad(np.arange(size), around, mode=mode)  # the modes have NumPy's names
        dy = scatter(e, dy, copied, axis, size)
    return dy


def _amounts(e: Emitter, node: gs.Node) -> dict[int, tuple[int, int]]:
    """(in front, behind) by negative axis, where there is any."""
    rank = len(node.inputs[0].shape)
    given = e.network.value(node.inputs[1])
    axes = list(range(rank))
    if len(node.inputs) > 3 and node.inputs[3].name:
        listed = e.network.value(node.inputs[3])
        given = None if listed is None else given
        axes = [] if listed is None else [int(axis) % rank for axis in listed.ravel()]
    if given is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} pads by amounts known only at run time, which has no derivative "
            f"here; fold the model's constants first"
        )
    begins, ends = np.array(given, dtype=int).reshape(2, -1)
    return {
        axis - rank: (int(begin), int(end))
        for axis, begin, end in zip(axes, begins, ends, strict=True)
        if begin or end
    }
