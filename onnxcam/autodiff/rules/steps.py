"""Pieces of derivatives in the forms that are cheapest between convolutions.

ONNX Runtime keeps the values between convolutions in a layout of its own. `HardSigmoid`, and
products and sums of equal shapes, work in it; comparisons, `Where` and numbers do not, and each
of them costs two passes that only rearrange.
"""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter

STEEP = 2.0**125
"""Slope of a ramp that is a step: a power of two, so that nothing is rounded off."""


def between_convolutions(x: gs.Tensor) -> bool:
    """Whether a convolution makes or reads a tensor (float32: `HardSigmoid` knows no other)."""
    made = any(node.op in ("Conv", "BatchNormalization") for node in x.inputs)
    read = any(node.op == "Conv" for node in x.outputs)
    return x.dtype == np.float32 and x.shape is not None and len(x.shape) == 4 and (made or read)


def ramp(e: Emitter, x: gs.Tensor, slope: float, height: float = 0.0) -> gs.Tensor:
    """slope x + height, cut off at 0 and 1."""
    return e.unary("HardSigmoid", x, alpha=float(slope), beta=float(height))


def step(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    """1 where x is positive, else 0."""
    return ramp(e, x, STEEP)
