"""Resizing is a linear map along each axis: the way back is the transposed map."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter, is_static
from onnxcam.graph.network import describe


@vjp("Resize", "Upsample")
def resize(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """A matrix product an axis; the matrices are computed when the model is rewritten."""
    x, y = node.inputs[0], node.outputs[0]
    rank = len(x.shape)
    cropped = node.attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    changed = [a for a in range(-rank, 0) if x.shape[a] != y.shape[a]]
    sizes = [*(x.shape[a] for a in changed), *(y.shape[a] for a in changed)]
    if not is_static(sizes) or cropped:
        raise UnsupportedOperatorError(
            f"{describe(node)} resizes by amounts that only the run knows, which has no "
            f"derivative here; fix the model's input size"
        )
    for axis in changed:
        matrix = _map_along(e, node, axis % rank, x.shape[axis], y.shape[axis])
        dy = _apply(e, full(e, dy, y, [axis]), matrix.astype(dy.dtype), axis)
    return dy


def _map_along(e: Emitter, node: gs.Node, axis: int, size: int, length: int) -> np.ndarray:
    """The (length, size) matrix of a resize along one axis, read off its action on a unit matrix.

    onnx's reference evaluator defines what each of the many coordinate modes means.
    """
    from onnx.reference import ReferenceEvaluator  # slow to import, and rarely needed

    attrs = {k: v for k, v in node.attrs.items() if k not in ("axes", "scales")}
    opset = max(e.opset, 11)
    if node.op == "Upsample":
        attrs |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    # The stored scale, where there is one, takes part in the coordinates; a size does not.
    scale = _scale_of(e, node, axis)
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
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    feeds = {
        "x": np.eye(size, dtype=np.float32),
        "scales": np.array([1, scale or 1], np.float32),
        "sizes": np.array([size, length], np.int64),
    }
    (columns,) = ReferenceEvaluator(model).run(None, feeds)
    return np.asarray(columns).T


def _scale_of(e: Emitter, node: gs.Node, axis: int) -> float | None:
    """The scale along an axis when the node is told scales and not sizes."""
    if "scales" in node.attrs:
        return float(node.attrs["scales"][axis])
    at = 1 if node.op == "Upsample" or len(node.inputs) == 2 else 2
    if len(node.inputs) <= at or not node.inputs[at].name:
        return None
    scales = e.network.value(node.inputs[at])
    if scales is None or scales.size == 0:
        return None
    axes = node.attrs.get("axes")
    return float(scales[axis] if axes is None else scales[list(axes).index(axis)])


def _apply(e: Emitter, dy: gs.Tensor, matrix: np.ndarray, axis: int) -> gs.Tensor:
    """Contract an axis of dy with the rows of a (length, size) matrix."""
    if axis == -2:
        return e.matmul(e.constant(np.ascontiguousarray(matrix.T)), dy)
    rank = len(dy.shape)
    order = [a for a in range(rank) if a != axis % rank] + [axis % rank]
    product = e.matmul(e.transpose(dy, order), e.constant(matrix))
    return e.transpose(product, np.argsort(order).tolist())
