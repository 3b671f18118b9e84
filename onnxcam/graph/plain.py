"""What quantised and fused operators compute, in terms of the standard ones.

Where only the course of the axes matters (which of them is a channel, what the last attention
reads), `QLinearMatMul` is a `MatMul` of its first and fourth input, and so on.
"""

from __future__ import annotations

import onnx_graphsurgeon as gs

_PLAIN: dict[str, tuple[str, slice]] = {
    "QLinearConv": ("Conv", slice(0, 4, 3)),
    "ConvInteger": ("Conv", slice(0, 2)),
    "FusedConv": ("Conv", slice(0, 2)),
    "QLinearMatMul": ("MatMul", slice(0, 4, 3)),
    "MatMulInteger": ("MatMul", slice(0, 2)),
    "MatMulIntegerToFloat": ("MatMul", slice(0, 2)),
    "DynamicQuantizeMatMul": ("MatMul", slice(0, 2)),
    "MatMulNBits": ("MatMul", slice(0, 2)),
    "FusedMatMul": ("MatMul", slice(0, 2)),
    "FusedGemm": ("Gemm", slice(0, 2)),
    "QGemm": ("Gemm", slice(0, 4, 3)),
    "QLinearAdd": ("Add", slice(0, 4, 3)),
    "QLinearMul": ("Mul", slice(0, 4, 3)),
    "QLinearConcat": ("Concat", slice(2, None, 3)),
    "QLinearReduceMean": ("ReduceMean", slice(0, 1)),
    "QLinearAveragePool": ("AveragePool", slice(0, 1)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", slice(0, 1)),
    "QLinearSoftmax": ("Softmax", slice(0, 1)),
}


def plain_op(node: gs.Node) -> str:
    """The standard operator that a node computes; its own name where it is none of those known."""
    return _PLAIN.get(node.op, (str(node.op),))[0]


def plain_inputs(node: gs.Node) -> list[gs.Tensor]:
    """The inputs of that standard operator, scales and zero points left out."""
    if node.op not in _PLAIN:
        return list(node.inputs)
    return list(node.inputs[_PLAIN[node.op][1]])
