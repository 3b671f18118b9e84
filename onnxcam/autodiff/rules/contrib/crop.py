"""Boxes cut out of pictures and scaled to one size."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.protos import MICROSOFT


@lowering("CropAndResize", wrt=(0,), domain=MICROSOFT)
def crop_and_resize(e: Emitter, node: gs.Node) -> gs.Tensor:
    """The box (y1, x1, y2, x2), in shares of the picture, sampled at evenly spaced points.

    Points outside the picture get a fixed value.
    """
    x, boxes, pictures = node.inputs[:3]
    y = node.outputs[0]
    count, size = boxes.shape[0], list(y.shape[-2:])
    down = e.unsqueeze(_points(e, boxes, 0, int(size[0])), [2])
    across = e.unsqueeze(_points(e, boxes, 1, int(size[1])), [1])
    spread = e.constant(np.zeros((1, *size)), x.dtype)
    axes = [e.unsqueeze(e.add(points, spread), [-1]) for points in (across, down)]
    chosen = e.op("Gather", x, pictures, shape=[count, *x.shape[1:]], axis=0)
    mode = node.attrs.get("mode", "bilinear")
    attrs = {"mode": "linear" if mode == "bilinear" and e.opset >= 20 else mode}
    attrs |= {"padding_mode": "border", "align_corners": 1}
    sampled = e.op("GridSample", chosen, e.concat(axes, -1), shape=list(y.shape), **attrs)
    inside = e.unsqueeze(e.logical_and(_inside(e, down), _inside(e, across)), [1])
    return e.where(inside, sampled, float(node.attrs.get("extrapolation_value", 0.0)))


def _points(e: Emitter, boxes: gs.Tensor, axis: int, count: int) -> gs.Tensor:
    """(boxes, count): where a box is sampled, from -1 at the picture's first pixel to 1."""
    start, end = (e.slice(boxes, -1, k, k + 1) for k in (axis, axis + 2))
    shares = np.arange(count) / (count - 1) if count > 1 else np.array([0.5])
    along = e.mul(e.sub(end, start), e.constant(shares[None], boxes.dtype))
    return e.sub(e.mul(e.add(start, along), 2.0), 1.0)


def _inside(e: Emitter, points: gs.Tensor) -> gs.Tensor:
    return e.logical_and(e.greater(points, -1.000001), e.less(points, 1.000001))
