"""Quantised and fused operators compute what their standard ones do.

With scales of one, zero points of zero and small whole numbers, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime
import pytest
from autodiff.numeric import session_of
from onnx import helper, numpy_helper

from onnxcam.graph.plain import _PLAIN, plain_inputs, plain_op

RNG = np.random.default_rng(0)
ONE, ZERO = np.float32(1), np.uint8(0)
MICROSOFT = "com.microsoft"


def whole(*shape: int) -> np.ndarray:
    return RNG.integers(0, 4, shape).astype(np.uint8)


def real(*shape: int) -> np.ndarray:
    return whole(*shape).astype(np.float32)


def quantised(*values: np.ndarray) -> list[np.ndarray]:
    """Each with its scale and zero point, behind them those of the output."""
    return [part for value in values for part in (value, ONE, ZERO)] + [ONE, ZERO]


IMAGE, KERNEL, A, B = whole(1, 2, 4, 4), whole(3, 2, 2, 2), whole(3, 4), whole(4, 5)
WINDOW = {"kernel_shape": [2, 2]}
NODES: list[tuple[str, str, Sequence[np.ndarray], dict[str, Any], dict[str, Any]]] = [
    ("QLinearConv", "", quantised(IMAGE, KERNEL), {"strides": [2, 2]}, {"strides": [2, 2]}),
    ("ConvInteger", "", [IMAGE, KERNEL], {"pads": [1] * 4}, {"pads": [1] * 4}),
    ("FusedConv", MICROSOFT, [real(1, 2, 4, 4), real(3, 2, 2, 2)], {"activation": "Relu"}, {}),
    ("QLinearMatMul", "", quantised(A, B), {}, {}),
    ("MatMulInteger", "", [A, B], {}, {}),
    ("MatMulIntegerToFloat", MICROSOFT, [A, B, ONE, ONE, ZERO, ZERO], {}, {}),
    ("FusedMatMul", MICROSOFT, [real(3, 4), real(4, 5)], {}, {}),
    ("FusedGemm", MICROSOFT, [real(3, 4), real(4, 5)], {"activation": "Relu"}, {}),
    ("QGemm", MICROSOFT, [A, ONE, ZERO, B, ONE, ZERO, np.zeros(5, np.int32), ONE, ZERO], {}, {}),
    ("QLinearAdd", MICROSOFT, quantised(A, whole(3, 1)), {}, {}),
    ("QLinearMul", MICROSOFT, quantised(A, whole(1, 4)), {}, {}),
    ("QLinearConcat", MICROSOFT, [ONE, ZERO, *quantised(A, A + 1)[:-2]], {"axis": 1}, {"axis": 1}),
    ("QLinearAveragePool", MICROSOFT, quantised(IMAGE * 4), WINDOW, WINDOW),
    ("QLinearGlobalAveragePool", MICROSOFT, quantised(IMAGE * 16), {"channels_last": 0}, {}),
]  # fmt: skip
"""(operator, domain, inputs, its attributes, those that say the same of the plain operator)."""


def model_of(
    op: str, domain: str, values: dict[str, np.ndarray], attrs: dict[str, Any]
) -> onnx.ModelProto:
    node = helper.make_node(op, list(values), ["y"], domain=domain, **attrs)
    y = helper.make_empty_tensor_value_info("y")
    stored = [numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]
    graph = helper.make_graph([node], "plain", [], [y], stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def result(model: onnx.ModelProto) -> np.ndarray:
    """ONNX Runtime's result in the type that it infers."""
    session = session_of(model)
    assert isinstance(session, onnxruntime.InferenceSession)
    return np.asarray(session.run(["y"], {})[0], np.float64)


@pytest.mark.parametrize(
    ("op", "domain", "inputs", "attrs", "plain_attrs"), NODES, ids=[each[0] for each in NODES]
)
def test_the_plain_operator_computes_the_same(
    op: str,
    domain: str,
    inputs: Sequence[np.ndarray],
    attrs: dict[str, Any],
    plain_attrs: dict[str, Any],
) -> None:
    values = {f"i{k}": np.asarray(value) for k, value in enumerate(inputs)}
    model = model_of(op, domain, values, attrs)
    (node,) = gs.import_onnx(model).nodes
    assert plain_op(node) != op
    kept = {t.name: values[t.name].astype(np.float32) for t in plain_inputs(node)}
    got, want = result(model_of(plain_op(node), "", kept, plain_attrs)), result(model)
    assert np.ptp(want) > 0
    if "Average" in op:  # rounded to a whole number
        np.testing.assert_allclose(got, want, atol=0.5)
    else:
        np.testing.assert_array_equal(got, want)


UNTRIED = {"DynamicQuantizeMatMul", "MatMulNBits", "QLinearReduceMean"}
"""Of these no whole numbers make two exact, and ONNX Runtime's CPU provider lacks the third."""


@pytest.mark.parametrize(
    ("op", "plain", "operands"),
    [
        ("DynamicQuantizeMatMul", "MatMul", ["a", "b"]),
        ("MatMulNBits", "MatMul", ["a", "b"]),
        ("QLinearReduceMean", "ReduceMean", ["a"]),
    ],
)
def test_the_operands_of_what_is_not_tried(op: str, plain: str, operands: list[str]) -> None:
    node = gs.Node(op, domain=MICROSOFT, inputs=[gs.Variable(n) for n in ("a", "b", "scales")])
    assert plain_op(node) == plain
    assert [t.name for t in plain_inputs(node)] == operands


def test_softmax_is_one_of_its_first_input() -> None:
    values = dict(zip("xabcd", quantised(A), strict=False))
    values["b"], values["c"], values["d"] = ZERO, np.float32(1 / 256), ZERO
    model = model_of("QLinearSoftmax", MICROSOFT, values, {"axis": 1, "opset": 13})
    (node,) = gs.import_onnx(model).nodes
    kept = {t.name: values[t.name].astype(np.float32) for t in plain_inputs(node)}
    got = result(model_of(plain_op(node), "", kept, {"axis": 1}))
    np.testing.assert_allclose(got, result(model) / 256, atol=1 / 256)


def test_every_operator_is_tried_here() -> None:
    tried = {each[0] for each in NODES}
    assert tried | {"QLinearSoftmax"} | UNTRIED == set(_PLAIN)


@pytest.mark.parametrize("op", ["Conv", "QLinearSigmoid", "NoSuchOperator"])
def test_others_are_what_they_are(op: str) -> None:
    inputs = [gs.Variable(name, np.float32) for name in "xyz"]
    node = gs.Node(op, inputs=inputs)
    assert plain_op(node) == op
    assert plain_inputs(node) == inputs
