"""Resizing is a linear map along each axis: the way back is the transposed map."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@vjp("Resize")
def resize(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """A matrix product an axis; the matrices are computed when the model is rewritten.

    Of an axis of unknown length only whole repeats (nearest, by 2) are undone: they add up.
    """
    x, y = node.inputs[0], node.outputs[0]
    rank = len(x.shape)
    cropped = node.attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    if cropped or node.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedOperatorError(
            f"{describe(node)} crops, or keeps an aspect ratio, which has no derivative here; "
            f"choose a target layer behind it"
        )
    for axis in [a for a in range(-rank, 0) if x.shape[a] != y.shape[a]]:
        size, length = x.shape[axis], y.shape[axis]
        dy = full(e, dy, y, [axis])
        if isinstance(size, int) and isinstance(length, int):
            matrix = _map_along(e, node, axis % rank, size, length)
            dy = _apply(e, dy, matrix.astype(dy.dtype), axis)
        else:
            dy = _sum_of_repeats(e, dy, x, axis, _repeats(e, node, axis % rank))
    return dy


def _repeats(e: Emitter, node: gs.Node, axis: int) -> int:
    """How often a resize repeats each position of an axis of unknown length."""
    scale = _scale_of(e, node, axis)
    if scale is not None and scale == int(scale) and node.attrs.get("mode") != "cubic":
        times = int(scale)
        tried = _map_along(e, node, axis, 3, 3 * times)
        if np.array_equal(tried, np.repeat(np.eye(3), times, axis=0)):
            return times
    raise UnsupportedOperatorError(
        f"{describe(node)} resizes by amounts that only the run knows, which has no derivative "
        f"here; fix the model's input size"
    )


def _sum_of_repeats(e: Emitter, dy: gs.Tensor, x: gs.Tensor, axis: int, times: int) -> gs.Tensor:
    rank = len(dy.shape)
    at = axis % rank
    dims = [*dy.shape[:at], x.shape[axis], times, *dy.shape[at + 1 :]]
    sizes = [e.dim(dy, k - rank) for k in range(rank)]
    sizes[at : at + 1] = [e.dim(x, axis), e.ints(times)]
    apart = e.reshape(dy, dims, sizes)
    return e.reduce("ReduceSum", apart, [at - rank], keepdims=False)


def _map_along(e: Emitter, node: gs.Node, axis: int, size: int, length: int) -> np.ndarray:
    """The (length, size) matrix of a resize along one axis, read off its action on a unit matrix.

    onnx's reference evaluator defines what each of the many coordinate modes means.
    """
    from onnx.reference import ReferenceEvaluator  # slow to import, and rarely needed

    attrs = {k: v for k, v in node.attrs.items() if k not in ("axes", "scales")}
    # The stored scale, where there is one, takes part in the coordinates; a size does not, nor
    # does a scale where the corners are aligned.
    aligned = attrs.get("coordinate_transformation_mode") == "align_corners"
    scale = None if aligned else _scale_of(e, node, axis)
    inputs = ["x", "", "", "sizes"] if scale is None else ["x", "", "scales"]
    single = onnx.helper.make_node("Resize", inputs, ["y"], **attrs)
    f, n = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    graph = onnx.helper.make_graph(
        [single],
        "resize",
        [
            onnx.helper.make_tensor_value_info("x", f, [size, size]),
            onnx.helper.make_tensor_value_info("scales", f, [2]),
            onnx.helper.make_tensor_value_info("sizes", n, [2]),
        ],
        [onnx.helper.make_tensor_value_info("y", f, [size, length])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", e.opset)])
    feeds = {
        "x": np.eye(size, dtype=np.float32),
        "scales": np.array([1, scale or 1], np.float32),
        "sizes": np.array([size, length], np.int64),
    }
    (columns,) = ReferenceEvaluator(model).run(None, feeds)
    return np.asarray(columns).T


def _scale_of(e: Emitter, node: gs.Node, axis: int) -> float | None:
    """The scale along an axis when the node is told scales and not sizes."""
    if len(node.inputs) < 3 or not node.inputs[2].name:
        return None
    scales = e.network.value(node.inputs[2])
    if scales is None or scales.size == 0:
        return None
    axes = node.attrs.get("axes")
    if axes is None:
        return float(scales[axis])
    return float(scales[[a % len(node.inputs[0].shape) for a in axes].index(axis)])


def _apply(e: Emitter, dy: gs.Tensor, matrix: np.ndarray, axis: int) -> gs.Tensor:
    """Contract an axis of dy with the rows of a (length, size) matrix."""
    if axis == -2:
        return e.matmul(e.constant(np.ascontiguousarray(matrix.T)), dy)
    rank = len(dy.shape)
    order = [a for a in range(rank) if a != axis % rank] + [axis % rank]
    product = e.matmul(e.transpose(dy, order), e.constant(matrix))
    return e.transpose(product, np.argsort(order).tolist())
