"""Ranges of positions, stored where the length is known."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter


def scalar_dim(e: Emitter, t: gs.Tensor, axis: int) -> gs.Tensor:
    """One dimension as an int64 scalar."""
    size = t.shape[axis]
    return e.constant(size, np.int64) if isinstance(size, int) else e.squeeze(e.dim(t, axis), [0])


def positions(e: Emitter, t: gs.Tensor, axis: int) -> gs.Tensor:
    """0, 1, 2, ... along an axis of t, as a 1-D int64 tensor."""
    size = t.shape[axis]
    if isinstance(size, int):
        return e.constant(np.arange(size), np.int64)
    zero, one = e.constant(0, np.int64), e.constant(1, np.int64)
    return e.op("Range", zero, scalar_dim(e, t, axis), one, shape=[size])
