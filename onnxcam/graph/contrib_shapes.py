"""Output types of the operators that ONNX Runtime writes into files, of which onnx knows nothing.

Where a contributed operator computes a standard one, onnx infers its shape as that of the
standard one; the others are written out. All dimensions are numbers here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxcam.graph.contrib_attention import (
    attention,
    embedding,
    group_query_attention,
    multi_head_attention,
)
from onnxcam.graph.contrib_call import (
    Call,
    Output,
    Rule,
    Shape,
    broadcast,
    channels_last,
    dims,
    like,
    shaped_as,
    standard,
)
from onnxcam.graph.protos import MICROSOFT, STANDARD, attributes, opset_of

_REFUSALS = (
    onnx.shape_inference.InferenceError,
    onnx.checker.ValidationError,
    ValueError,
    LookupError,
)
"""What a call says that lacks something, or what onnx says of the operator that it stands for."""

_STANDARD_ELSEWHERE = ("LayerNormalization", "SimplifiedLayerNormalization")
"""What ONNX Runtime writes as standard operators into models whose opset has no such operator."""


def name_apart(model: onnx.ModelProto) -> None:
    """Make valid what ONNX Runtime takes though it is not, so that onnx checks and infers the rest.

    Standard operators that the model's opset lacks move to the runtime's domain, and that domain
    is imported where it was not.
    """
    foreign = {op for op in _STANDARD_ELSEWHERE if not onnx.defs.has(op, opset_of(model))}
    for node in model.graph.node:
        if node.op_type in foreign and node.domain in STANDARD:
            node.domain = MICROSOFT
    used = any(node.domain == MICROSOFT for node in model.graph.node)
    if used and not any(entry.domain == MICROSOFT for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))


def infer_contributed(
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    values: Mapping[str, np.ndarray],
) -> dict[str, onnx.TypeProto]:
    """Types of a contributed operator's outputs, as far as they can be told."""
    rule = _RULES.get((node.domain, node.op_type))
    if rule is None:
        return {}
    kinds = [types[name].tensor_type if name else None for name in node.input]
    try:
        shapes = [None if kind is None else dims(kind) for kind in kinds]
        elem_types = [0 if kind is None else kind.elem_type for kind in kinds]
        found = [values.get(name) for name in node.input]
        outputs = rule(Call(node.op_type, attributes(node), shapes, elem_types, found))
    except _REFUSALS:
        return {}
    return {
        name: helper.make_tensor_type_proto(*output)
        for name, output in zip(node.output, outputs, strict=False)
        if name and output is not None
    }


def _nhwc_conv(call: Call) -> list[Output]:
    """Weights are channels-last too: (M, *kernel, C)."""
    (n, *size, c), (m, *kernel, c_group) = call.shape(0), call.shape(1)
    n, m, *size = standard("Conv", [(n, c, *size), (m, c_group, *kernel)], call.attrs)
    return [(call.types[0], (n, *size, m))]


# -- matrix products --------------------------------------------------------------------------


def _fused_matmul(call: Call) -> list[Output]:
    a, b = (_turned(call.shape(i), call.attrs, "AB"[i]) for i in (0, 1))
    return [(call.types[0], standard("MatMul", [a, b], {}))]


def _turned(shape: Shape, attrs: Mapping[str, Any], which: str) -> Shape:
    if len(shape) > 1 and attrs.get(f"transBatch{which}", 0):
        shape = (*shape[1:-1], shape[0], shape[-1])
    if len(shape) > 1 and attrs.get(f"trans{which}", 0):
        shape = (*shape[:-2], shape[-1], shape[-2])
    return shape


def _qgemm(call: Call) -> list[Output]:
    shape = standard("Gemm", [call.shape(0), call.shape(3)], call.attrs)
    return [(call.types[8] if call.has(8) else TensorProto.FLOAT, shape)]


def _matmul_nbits(call: Call) -> list[Output]:
    return [(call.types[0], (*call.shape(0)[:-1], call.attrs["N"]))]


# -- normalisation and attention --------------------------------------------------------------


def _skip_normalization(call: Call) -> list[Output]:
    x, kind = call.shape(0), call.types[0]
    statistics = (TensorProto.FLOAT, (*x[:-1], 1))
    return [(kind, x), statistics, statistics, (kind, x)]


def _normalization(call: Call) -> list[Output]:
    x = call.shape(0)
    axis = call.attrs.get("axis", -1) % len(x)
    statistics = (TensorProto.FLOAT, (*x[:axis], *[1] * (len(x) - axis)))
    return [(call.types[1], x), statistics, statistics]


# -- the rest ---------------------------------------------------------------------------------


def _qlinear_concat(call: Call) -> list[Output]:
    parts = [call.shape(i) for i in range(2, len(call.shapes), 3)]
    return [(call.types[1], standard("Concat", parts, call.attrs))]


def _qlinear_reduce_mean(call: Call) -> list[Output]:
    x = call.shape(0)
    axes = {axis % len(x) for axis in call.attrs.get("axes", range(len(x)))}
    kept = call.attrs.get("keepdims", 1)
    shape = tuple(1 if k in axes else d for k, d in enumerate(x) if kept or k not in axes)
    return [(call.types[0], shape)]


def _pad(call: Call) -> list[Output]:
    pads = call.value(1).ravel().astype(np.int64)
    return [(call.types[0], standard("Pad", [call.shape(0), pads], {}))]


def _expand_dims(call: Call) -> list[Output]:
    x = list(call.shape(0))
    axis = int(call.value(1).ravel()[0])
    x.insert(axis if axis >= 0 else axis + len(x) + 1, 1)
    return [(call.types[0], tuple(x))]


def _crop_and_resize(call: Call) -> list[Output]:
    rows, columns = call.value(3).ravel().tolist()
    return [(call.types[0], (call.shape(1)[0], call.shape(0)[1], rows, columns))]


def _bias_split_gelu(call: Call) -> list[Output]:
    *front, width = call.shape(0)
    return [(call.types[0], (*front, width // 2))]


def _unfold(call: Call) -> list[Output]:
    x, attrs = list(call.shape(0)), call.attrs
    axis = attrs.get("dim", -1) % len(x)
    x[axis] = (x[axis] - attrs["size"]) // attrs.get("step", 1) + 1
    return [(call.types[0], (*x, attrs["size"]))]


def _gather_nd(call: Call) -> list[Output]:
    *front, depth = call.shape(1)
    return [(call.types[0], (*front, *call.shape(0)[depth:]))]


def _conv_transpose(call: Call) -> list[Output]:
    pads = {"pads": call.value(2).ravel().tolist()} if call.has(2) else {}
    shape = standard("ConvTranspose", [call.shape(0), call.shape(1)], {**call.attrs, **pads})
    return [(call.types[0], shape)]


def _pairs(call: Call) -> list[Output]:
    return [(call.types[0], (call.shape(0)[0], call.shape(1)[0]))]


def _reorder_input(call: Call) -> list[Output]:
    n, channels, *size = call.shape(0)
    block = call.attrs["block"]  # a stand-in of `onnxcam.graph.nchwc` says it
    return [(call.types[0], (n, -(-channels // block) * block, *size))]


def _dynamic_quantize_lstm(call: Call) -> list[Output]:
    length, batch, _ = call.shape(0)
    hidden = call.attrs["hidden_size"]
    directions = 2 if call.attrs.get("direction") == b"bidirectional" else 1
    state = (call.types[0], (directions, batch, hidden))
    return [(call.types[0], (length, directions, batch, hidden)), state, state]


_ELEMENTWISE = (
    *("Gelu", "FastGelu", "QuickGelu", "BiasGelu", "BiasAdd", "BiasSoftmax"),
    *("GroupNorm", "RotaryEmbedding", "Trilu", "Inverse"),
    *("QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax"),
)

_MICROSOFTS: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, like()),
    **dict.fromkeys(_STANDARD_ELSEWHERE, _normalization),
    "SkipGroupNorm": lambda call: like()(call) * 2,
    "SkipLayerNormalization": _skip_normalization,
    "SkipSimplifiedLayerNormalization": _skip_normalization,
    "EmbedLayerNormalization": embedding(0, 2, 5, 2),
    "QEmbedLayerNormalization": embedding(0, 2, 5, 8),
    "Attention": attention,
    "QAttention": attention,
    "MultiHeadAttention": multi_head_attention,
    "GroupQueryAttention": group_query_attention,
    "FusedConv": shaped_as("Conv", 0, 1),
    "NhwcConv": _nhwc_conv,
    "NhwcFusedConv": _nhwc_conv,
    "NhwcMaxPool": channels_last("MaxPool", 0),
    "FusedGemm": shaped_as("Gemm", 0, 1),
    "FusedMatMul": _fused_matmul,
    "TransposeMatMul": _fused_matmul,
    "BiasSplitGelu": _bias_split_gelu,
    "GridSample": shaped_as("GridSample", 0, 1),
    "GatherND": _gather_nd,
    "ConvTransposeWithDynamicPads": _conv_transpose,
    "CropAndResize": _crop_and_resize,
    "ExpandDims": _expand_dims,
    "Pad": _pad,
    "CDist": _pairs,
    "UnfoldTensor": _unfold,
    "QuantizeLinear": lambda call: [
        (call.types[2] if call.has(2) else TensorProto.UINT8, call.shape(0))
    ],
    "DequantizeLinear": like(0, kind=1),
    "QLinearConv": channels_last("Conv", 0, 3),
    "QLinearAdd": broadcast(0, 3),
    "QLinearMul": broadcast(0, 3),
    "QLinearWhere": broadcast(0, 1, 4, kind=1),
    "QLinearConcat": _qlinear_concat,
    "QLinearReduceMean": _qlinear_reduce_mean,
    "QLinearAveragePool": channels_last("AveragePool", 0),
    "QLinearGlobalAveragePool": channels_last("GlobalAveragePool", 0),
    "DynamicQuantizeLSTM": _dynamic_quantize_lstm,
    "QGemm": _qgemm,
    "MatMulNBits": _matmul_nbits,
    "MatMulIntegerToFloat": shaped_as("MatMul", 0, 1, kind=2),
    "DynamicQuantizeMatMul": shaped_as("MatMul", 0, 1),
}

_RULES: dict[tuple[str, str], Rule] = {
    **{(MICROSOFT, op): rule for op, rule in _MICROSOFTS.items()},
    ("com.microsoft.nchwc", "ReorderInput"): _reorder_input,
}
