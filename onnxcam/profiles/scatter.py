"""ScatterElements by comparing indices with positions: TensorRT and WebGPU lack it in part."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.rules.positions import positions
from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter


def compared(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """Every position takes what is meant for it: sum over j of values[j] where index[j] is there.

    With `reduction` "add" that is added to the data, without one it takes its place (no position
    may be meant twice then, as ONNX demands). The cost is that of the values times the length of
    the axis, so it is meant for axes of moderate length.
    """
    data, index, values = node.inputs
    reduction = node.attrs.get("reduction", "none")
    if reduction not in ("none", "add"):
        raise ModelError(
            f"profile 'portable': ScatterElements that takes the {reduction} is needed"
        )
    rank = len(data.shape)
    axis = node.attrs.get("axis", 0) % rank - rank
    hits = _hits(e, data, index, axis)
    zero = e.constant(0, values.dtype)
    meant = e.where(hits, e.unsqueeze(values, [axis]), zero)
    found = _laid_out(e, e.reduce("ReduceSum", meant, [axis - 1], keepdims=False), data, axis)
    if reduction == "add":
        return [e.add(data, found)]
    counted = e.reduce("ReduceSum", e.cast(hits, np.float32), [axis - 1], keepdims=False)
    there = e.greater(_laid_out(e, counted, data, axis), 0)
    return [e.where(there, found, data)]


def _hits(e: Emitter, data: gs.Tensor, index: gs.Tensor, axis: int) -> gs.Tensor:
    """Whether the j-th index means position p of the data: (..., j, p, ...)."""
    length = e.dim(data, axis)
    counted = e.where(e.less(index, 0), e.add(index, length), index)
    every = e.unsqueeze(positions(e, data, axis), range(axis + 1, 0))
    return e.equal(e.unsqueeze(counted, [axis]), every)


def _laid_out(e: Emitter, found: gs.Tensor, data: gs.Tensor, axis: int) -> gs.Tensor:
    """Along the other axes indices may be fewer than the data: the rest is zero."""
    rest: dict[int, tuple[int, int]] = {}
    for other in range(-len(data.shape), 0):
        has, wants = found.shape[other], data.shape[other]
        if other == axis or has == wants:
            continue
        if not (isinstance(has, int) and isinstance(wants, int)):
            raise ModelError(
                "profile 'portable': ScatterElements into an axis of open length is needed; fix "
                "the model's input size"
            )
        rest[other] = (0, wants - has)
    return e.pad(found, rest) if rest else found
