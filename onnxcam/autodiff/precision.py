"""In which precision the backward pass is computed: float32, float64 where the model is.

Cotangents span many orders of magnitude: in float16 those below 6e-8 are zero and those above
65504 infinite, in bfloat16 sums lose all but two digits, and quantised tensors are integers. So
all cotangents are float32, and what a derivative reads of a half-precision or integer tensor is
cast up first (a runtime folds the casts of weights). The model's own nodes stay as they are.
"""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import is_float, subgraphs, with_tensors

_WIDE = (np.dtype(np.float32), np.dtype(np.float64))
_SMALL = 1024


def cotangent_dtype(tensor: gs.Tensor) -> np.dtype:
    """Element type of a tensor's cotangent."""
    return np.dtype(np.float64 if tensor.dtype == np.float64 else np.float32)


def widened(e: Emitter, tensor: gs.Tensor) -> gs.Tensor:
    """A half-precision or integer tensor in float32; small known values are stored as such."""
    if is_static(tensor.shape) and np.prod(tensor.shape, dtype=np.int64) <= _SMALL:
        value = e.network.value(tensor)
        if value is not None:
            return e.constant(value.astype(np.float32))
    return e.cast(tensor, np.float32)


def in_single_precision(e: Emitter, node: gs.Node, reached: set[str]) -> gs.Node:
    """The node itself, or a stand-in for it whose tensors are float32.

    Half-precision floats are cast, and so are the integers that stand for real numbers, which
    are those in `reached`. The stand-in is read by a derivative, never emitted.
    """

    def narrow(tensor: gs.Tensor) -> bool:
        if is_float(tensor):
            return tensor.dtype not in _WIDE
        return tensor.name in reached

    tensors = [t for t in (*node.inputs, *node.outputs) if t.name]
    if subgraphs(node) or not any(narrow(t) for t in tensors):
        return node
    return with_tensors(
        node,
        inputs=[widened(e, t) if t.name and narrow(t) else t for t in node.inputs],
        outputs=[widened(e, t) if t.name and narrow(t) else t for t in node.outputs],
    )
