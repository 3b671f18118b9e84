"""Channels first, (N, C, *size), as the standard operators have them, or last, (N, *size, C)."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter


def channels_first(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    """(N, *size, C) as (N, C, *size)."""
    rank = len(x.shape)
    return e.transpose(x, [0, rank - 1, *range(1, rank - 1)])


def channels_last(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    """(N, C, *size) as (N, *size, C)."""
    return e.transpose(x, [0, *range(2, len(x.shape)), 1])


def channels_first_shape(shape: Shape) -> Shape:
    """(N, *size, C) as (N, C, *size), for shapes."""
    return [shape[0], shape[-1], *shape[1:-1]]
