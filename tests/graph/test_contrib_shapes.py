"""Shapes of the operators that onnx does not know, against what ONNX Runtime makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxcam.errors import ModelError
from onnxcam.graph.network import Network

U8, I8, F32, I32 = np.uint8, np.int8, np.float32, np.int32


def numbers(*shape: int, kind: Any = U8) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind)


SCALE, ZERO = np.array(0.1, F32), np.array(3, U8)
QUANTIZED = (SCALE, ZERO)
WEIGHTS = (np.array(0.2, F32), np.array(0, I8))
WINDOW = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
PICTURE, LAST = numbers(2, 3, 8, 6), numbers(2, 8, 6, 3)
FLOATS = numbers(2, 4, 6, kind=F32)

# (operator, inputs, attributes, number of outputs); the first input is fed, the others are stored
CALLS: list[tuple[str, list[np.ndarray | None], dict[str, Any], int]] = [
    ("QuantizeLinear", [FLOATS, *QUANTIZED], {}, 1),
    ("DequantizeLinear", [PICTURE, *QUANTIZED], {}, 1),
    ("QLinearAdd", [PICTURE, *QUANTIZED, numbers(3, 1, 1), *QUANTIZED, *QUANTIZED], {}, 1),
    ("QLinearMul", [numbers(2, 1, 6), *QUANTIZED, numbers(5, 1), *QUANTIZED, *QUANTIZED], {}, 1),
    ("QLinearLeakyRelu", [PICTURE, *QUANTIZED, *QUANTIZED], {"alpha": 0.1}, 1),
    ("QLinearSigmoid", [PICTURE, *QUANTIZED, *QUANTIZED], {}, 1),
    (
        "QLinearSoftmax",
        [numbers(2, 5), *QUANTIZED, np.array(1 / 256, F32), np.array(0, U8)],
        {"axis": -1, "opset": 13},
        1,
    ),
    (
        "QLinearWhere",
        [numbers(2, 3) > 2, numbers(2, 3), *QUANTIZED, numbers(3), *QUANTIZED, *QUANTIZED],
        {},
        1,
    ),
    ("QLinearConcat", [SCALE, ZERO, PICTURE, *QUANTIZED, PICTURE, *QUANTIZED], {"axis": 1}, 1),
    ("QLinearGlobalAveragePool", [PICTURE, *QUANTIZED, *QUANTIZED], {"channels_last": 0}, 1),
    ("QLinearGlobalAveragePool", [LAST, *QUANTIZED, *QUANTIZED], {"channels_last": 1}, 1),
    ("QLinearAveragePool", [PICTURE, *QUANTIZED, *QUANTIZED], {"ceil_mode": 1, **WINDOW}, 1),
    ("QLinearAveragePool", [LAST, *QUANTIZED, *QUANTIZED], {"channels_last": 1, **WINDOW}, 1),
    (
        "QLinearConv",
        [LAST, *QUANTIZED, numbers(4, 3, 3, 3, kind=I8), *WEIGHTS, *QUANTIZED],
        {"channels_last": 1, **WINDOW},
        1,
    ),
    (
        "QGemm",
        [numbers(2, 4), *QUANTIZED, numbers(5, 4, kind=I8), *WEIGHTS],
        {"transB": 1},
        1,
    ),
    (
        "QGemm",
        [numbers(2, 4), *QUANTIZED, numbers(4, 5, kind=I8), *WEIGHTS, None, *QUANTIZED],
        {},
        1,
    ),
    (
        "MatMulNBits",
        [numbers(2, 3, 40, kind=F32), numbers(5, 2, 16), np.ones(10, F32)],
        {"K": 40, "N": 5, "bits": 4, "block_size": 32},
        1,
    ),
    (
        "MatMulIntegerToFloat",
        [numbers(2, 3, 4), numbers(4, 5), SCALE, SCALE],
        {},
        1,
    ),
    ("DynamicQuantizeMatMul", [FLOATS, numbers(6, 5), SCALE], {}, 1),
    (
        "QAttention",
        [
            numbers(2, 3, 5),
            numbers(5, 24, kind=I8),
            np.zeros(24, F32),
            SCALE,
            SCALE,
            None,
            ZERO,
            np.array(0, I8),
        ],
        {"num_heads": 2},
        1,
    ),
    (
        "QEmbedLayerNormalization",
        [
            numbers(2, 3, kind=I32),
            np.zeros((2, 3), I32),
            numbers(8, 5),
            numbers(6, 5),
            numbers(2, 5),
            numbers(5),
            numbers(5),
            None,
            *[SCALE] * 5,
            *[np.array(0, U8)] * 5,
        ],
        {},
        2,
    ),
    (
        "DynamicQuantizeLSTM",
        [
            numbers(3, 2, 4, kind=F32),
            numbers(2, 4, 20),
            numbers(2, 5, 20),
            *[None] * 5,
            np.ones(2, F32),
            np.zeros(2, U8),
            np.ones(2, F32),
            np.zeros(2, U8),
        ],
        {"hidden_size": 5, "direction": "bidirectional"},
        3,
    ),
    (
        "MultiHeadAttention",
        [numbers(2, 3, 8, kind=F32), *[numbers(2, 5, 8, kind=F32)] * 2],
        {"num_heads": 2},
        1,
    ),
    ("Attention", [FLOATS, numbers(6, 12, kind=F32), numbers(12, kind=F32)], {"num_heads": 2}, 2),
    (
        "CropAndResize",
        [
            numbers(2, 3, 8, 6, kind=F32),
            np.zeros((4, 4), F32),
            np.zeros(4, I32),
            np.array([5, 7], I32),
        ],
        {},
        1,
    ),
]


def model_of(
    op: str, inputs: list[np.ndarray | None], attrs: dict[str, Any], outputs: int
) -> onnx.ModelProto:
    first, *rest = inputs
    assert first is not None
    names = ["" if value is None else f"x{k}" for k, value in enumerate(inputs)]
    made = [f"y{k}" for k in range(outputs)]
    node = helper.make_node(op, names, made, domain="com.microsoft", **attrs)
    kind = helper.np_dtype_to_tensor_dtype(first.dtype)
    graph = helper.make_graph(
        [node],
        "call",
        [helper.make_tensor_value_info("x0", kind, first.shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in made],
        [
            numpy_helper.from_array(value, f"x{k}")
            for k, value in enumerate(rest, 1)
            if value is not None
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def run(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    """The outputs, their declared types put right first."""
    del model.graph.output[:]
    made = [name for node in model.graph.node for name in node.output]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x0": x})


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_shapes_and_types_are_those_of_the_run(call: tuple[Any, ...]) -> None:
    model = model_of(*call)
    tensors = Network(model).tensors
    for k, value in enumerate(run(model, call[1][0])):
        assert tensors[f"y{k}"].shape == list(value.shape)
        assert tensors[f"y{k}"].dtype == value.dtype


@pytest.mark.parametrize(
    "missing",
    [
        ("QLinearConcat", [SCALE, ZERO, PICTURE, *QUANTIZED], {}, 1),
        ("NoSuchOperator", [FLOATS], {}, 1),
        ("MatMulNBits", [FLOATS, numbers(5, 2, 16), np.ones(10, F32)], {}, 1),
    ],
    ids=lambda call: call[0],
)
def test_what_cannot_be_told_is_left_open(missing: tuple[Any, ...]) -> None:
    assert Network(model_of(*missing)).tensors["y0"].shape is None


@pytest.mark.parametrize("opset", [11, 16])
def test_normalisations_that_the_opset_lacks_are_read(opset: int) -> None:
    ones = np.ones(6, F32)
    model = model_of("LayerNormalization", [FLOATS, ones, ones], {}, 1)
    model.graph.node[0].domain = ""
    model.opset_import[0].version = opset
    del model.opset_import[1]
    assert Network(model).tensors["y0"].shape == [2, 4, 6]
    assert run(model, FLOATS)[0].shape == (2, 4, 6)


def test_other_operators_that_the_opset_lacks_are_not() -> None:
    model = model_of("Mish", [FLOATS], {}, 1)
    model.graph.node[0].domain = ""
    model.opset_import[0].version = 13
    with pytest.raises(ModelError, match="No Op registered for Mish"):
        Network(model)


def test_the_runtimes_own_domain_need_not_be_imported() -> None:
    model = model_of("Gelu", [FLOATS], {}, 1)
    del model.opset_import[1]
    assert Network(model).tensors["y0"].shape == [2, 4, 6]
    assert run(model, FLOATS)[0].shape == (2, 4, 6)
