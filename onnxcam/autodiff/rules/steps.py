"""Pieces of derivatives in the forms that are cheapest between convolutions.

ONNX Runtime keeps the values between convolutions in a layout of its own. `HardSigmoid`, and
products and sums of equal shapes, work in it; comparisons, `Where` and numbers do not, and each
of them costs two passes that only rearrange: up to a quarter of a whole backward pass. A cotangent
that has overflowed becomes NaN here where `Where` would drop it.
"""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter

_STEEP = 2.0**127
"""The largest power of two in float32; the smallest number there is 2^-149."""

_NEARLY_ZERO = -(2.0**-126)
"""OpenVINO's CPU plugin takes a height of 0 for one that was left out, which is 0.5."""


def made_by_convolution(x: gs.Tensor) -> bool:
    return _fits(x) and any(node.op in ("Conv", "BatchNormalization") for node in x.inputs)


def read_by_convolution(x: gs.Tensor) -> bool:
    return _fits(x) and any(node.op == "Conv" for node in x.outputs)


def _fits(x: gs.Tensor) -> bool:
    """The layout is one of pictures; `HardSigmoid` knows float32 only."""
    return x.dtype == np.float32 and x.shape is not None and len(x.shape) == 4


def ramp(e: Emitter, x: gs.Tensor, slope: float, height: float = 0.0) -> gs.Tensor:
    """slope x + height, cut off at 0 and 1."""
    return e.unary("HardSigmoid", x, alpha=float(slope), beta=float(height) or _NEARLY_ZERO)


def step(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    """1 where x is above 0, else 0.

    One steep ramp leaves the numbers below 2^-127 on its slope; the second lifts those as well.
    """
    return ramp(e, ramp(e, x, _STEEP), _STEEP)
