"""What the integers of a quantised tensor stand for."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.graph.network import is_float, is_integer, producer

ROUNDINGS = {"QuantizeLinear", "DequantizeLinear"}
"""Operators between real numbers and the integers that stand for them."""

_RESULT_SCALE = {
    "QuantizeLinear": 1, "QLinearConv": 6, "QLinearMatMul": 6, "QGemm": 7, "QLinearAdd": 6,
    "QLinearMul": 6, "QLinearWhere": 7, "QLinearConcat": 0, "QLinearLeakyRelu": 3,
    "QLinearSigmoid": 3, "QLinearSoftmax": 3, "QLinearReduceMean": 3, "QLinearAveragePool": 3,
    "QLinearGlobalAveragePool": 3,
}  # fmt: skip
"""Position of the scale of an operator's result among its inputs; its zero point comes behind."""

_MOVES = {
    "MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather",
    "Split", "Identity", "Concat", "DepthToSpace", "SpaceToDepth", "Resize", "Pad", "Expand",
    "Tile",
}  # fmt: skip
"""Operators that leave numbers as they are."""


def quantization_of(tensor: gs.Tensor) -> tuple[gs.Tensor, gs.Tensor | None] | None:
    """(scale, zero point or None) of a quantised tensor.

    None of floats, and of integers where they are not to be found.
    """
    if is_float(tensor):
        return None
    node = producer(tensor)
    while node is not None and node.op in _MOVES:
        tensor = node.inputs[0]
        node = producer(tensor)
    if node is None:
        return None
    if node.op == "DynamicQuantizeLinear":
        return node.outputs[1], node.outputs[2]
    at = _RESULT_SCALE.get(node.op)
    if at is None or len(node.inputs) <= at or not node.inputs[at].name:
        return None
    zero_point = node.inputs[at + 1] if len(node.inputs) > at + 1 else None
    return node.inputs[at], zero_point if zero_point is not None and zero_point.name else None


def is_real(tensor: gs.Tensor) -> bool:
    """Whether a tensor holds real numbers, as floats or as integers that stand for them."""
    return is_float(tensor) or (is_integer(tensor) and quantization_of(tensor) is not None)
