"""Operators that fill a tensor from a few numbers: Range and OneHot."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.positions import positions
from onnxcam.graph.emitter import Emitter


@lowering("Range", wrt=(0, 2), ignored=(1,))
def range_(e: Emitter, node: gs.Node) -> gs.Tensor:
    """start + k delta; the limit says only how many there are."""
    start, _, delta = node.inputs
    numbers = e.cast(positions(e, node.outputs[0], 0), start.dtype)
    return e.add(e.mul(numbers, delta), start)


@lowering("OneHot", wrt=(2,), ignored=(0, 1))
def one_hot(e: Emitter, node: gs.Node) -> gs.Tensor:
    """off + (on - off) where the index is."""
    index, depth, values = node.inputs
    shape = list(node.outputs[0].shape)
    unit = e.constant([0, 1], values.dtype)
    hits = e.op("OneHot", index, depth, unit, shape=shape, dtype=values.dtype, **node.attrs)
    off, on = (e.op("Gather", values, e.constant(k, "int64"), shape=[], axis=0) for k in (0, 1))
    return e.add(e.mul(hits, e.sub(on, off)), off)
