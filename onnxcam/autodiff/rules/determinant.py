"""The determinant; its derivative is the matrix of cofactors, of singular matrices too."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe

LARGEST = 32
"""Beyond it the minors (as many numbers as the fourth power) take too much memory."""


@vjp("Det")
def det(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dy times the cofactors (-1)^(r + c) det(x without row r and column c)."""
    x = node.inputs[0]
    size = x.shape[-1]
    if not isinstance(size, int) or size > LARGEST:
        raise UnsupportedOperatorError(
            f"{describe(node)} of matrices larger than {LARGEST}, or of a size that only the run "
            f"knows, has no derivative here; fix the model's input size, or choose a target layer "
            f"behind it"
        )
    dy = e.unsqueeze(dy, [-2, -1])
    if size == 1:
        return dy
    numbers = np.arange(size)
    others = e.constant([np.delete(numbers, k) for k in numbers], np.int64)
    batch, rank = list(x.shape[:-2]), len(x.shape)
    rows = e.op("Gather", x, others, shape=[*batch, size, size - 1, size], axis=rank - 2)
    shape = [*batch, size, size - 1, size, size - 1]
    minors = e.transpose(e.op("Gather", rows, others, shape=shape, axis=rank), (0, 2, 1, 3))
    cofactors = e.op("Det", minors, shape=[*batch, size, size])
    signs = (-1.0) ** np.add.outer(numbers, numbers)
    return e.mul(dy, e.mul(cofactors, e.constant(signs, x.dtype)))
