"""Operators on integers element by element, and means: the real ones between two quantisations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autodiff.numeric import session_of
from autodiff.programs import Program, check_cotangents, program
from autodiff.quantized import OUT, around, check_quantized, integers

from onnxcam.gradients import append_gradients

OTHER = "uint8[{shape}] b, float b_scale, uint8 b_zero"


def binary(op: str, shape: str = "2,3", **given: Any) -> Program:
    dims = tuple(int(d) for d in shape.split(","))
    return around(
        "2,3",
        "2,3",
        f"r = com.microsoft.{op}(q, x_scale, x_zero, b, b_scale, b_zero, y_scale, y_zero)",
        OTHER.format(shape=shape),
        stored="b b_scale b_zero",
        b=integers(*dims, low=20, high=230),
        b_scale=1 / 100,
        b_zero=110,
        **given,
    )


def unary(
    op: str, shape: str = "2,3,4,4", result: str = "", attrs: str = "", **given: Any
) -> Program:
    return around(
        shape,
        result or shape,
        f"r = com.microsoft.{op}{attrs and f'<{attrs}>'}(q, x_scale, x_zero, y_scale, y_zero)",
        **given,
    )


POINTWISE = {
    "Add": binary("QLinearAdd"),
    "Add broadcast": binary("QLinearAdd", "3"),
    "Mul": binary("QLinearMul"),
    "Mul broadcast": binary("QLinearMul", "1"),
    "Add itself": around(
        "2,3",
        "2,3",
        "r = com.microsoft.QLinearAdd(q, x_scale, x_zero, q, x_scale, x_zero, y_scale, y_zero)",
    ),
    "Mul itself": around(
        "2,3",
        "2,3",
        "r = com.microsoft.QLinearMul(q, x_scale, x_zero, q, x_scale, x_zero, y_scale, y_zero)",
    ),
    "LeakyRelu": unary("QLinearLeakyRelu", attrs="alpha = 0.2"),
    "LeakyRelu int8": unary("QLinearLeakyRelu", attrs="alpha = 0.2", kind="int8"),
    "Sigmoid": unary("QLinearSigmoid", out=1 / 128),
    "Softmax": unary("QLinearSoftmax", "3,5", attrs="axis = -1, opset = 13", out=1 / 128),
    "Softmax of channels": unary(
        "QLinearSoftmax", "2,3,2,2", attrs="axis = 1, opset = 13", out=1 / 128
    ),
    "Softmax of the rest": unary(
        "QLinearSoftmax", "2,3,2", attrs="axis = 1, opset = 12", out=1 / 128
    ),
    "Where": around(
        "2,3",
        "2,3",
        "r = com.microsoft.QLinearWhere"
        "(mask, q, x_scale, x_zero, b, b_scale, b_zero, y_scale, y_zero)",
        OTHER.format(shape="2,3") + ", bool[2,3] mask",
        stored="b b_scale b_zero mask",
        b=integers(2, 3, low=20, high=230),
        b_scale=1 / 100,
        b_zero=110,
        mask=[[True, False, True], [False, True, True]],
    ),
    "Concat": around(
        "2,3",
        "2,8",
        "r = com.microsoft.QLinearConcat<axis = 1>(y_scale, y_zero, q, x_scale, x_zero, "
        "b, b_scale, b_zero, q, x_scale, x_zero)",
        OTHER.format(shape="2,2"),
        stored="b b_scale b_zero",
        b=integers(2, 2, low=20, high=230),
        b_scale=1 / 100,
        b_zero=110,
    ),
}
POOLS = {
    "GlobalAveragePool": unary("QLinearGlobalAveragePool", result="2,3,1,1"),
    "GlobalAveragePool channels last": unary(
        "QLinearGlobalAveragePool", "2,4,4,3", "2,1,1,3", attrs="channels_last = 1"
    ),
    "AveragePool": unary(
        "QLinearAveragePool", result="2,3,2,2", attrs="kernel_shape = [2,2], strides = [2,2]"
    ),
    "AveragePool padded": unary(
        "QLinearAveragePool",
        result="2,3,4,4",
        attrs="kernel_shape = [3,3], pads = [1,1,1,1], count_include_pad = 1",
    ),
}
PROGRAMS = POINTWISE | POOLS
STEPS = {"Sigmoid": 1 / 128, "Softmax": 1 / 128}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients(name: str) -> None:
    check_quantized(PROGRAMS[name], step=STEPS.get(name.split()[0], OUT))


@pytest.mark.parametrize("name", PROGRAMS)
def test_cotangents(name: str) -> None:
    check_cotangents(PROGRAMS[name])


@pytest.mark.parametrize(
    ("name", "axes", "keepdims", "result"),
    [("all", None, 1, "1,1,1"), ("two", [1, 2], 1, "2,1,1"), ("dropped", [-1], 0, "2,3")],
)
def test_a_mean_over_axes(name: str, axes: list[int] | None, keepdims: int, result: str) -> None:
    """ONNX Runtime's CPU provider has no kernel for it; by its definition it is a mean between
    two steps of quantisation."""
    given = f"keepdims = {keepdims}" + (f", axes = {axes}" if axes else "")
    p = unary("QLinearReduceMean", "2,3,4", result, given)
    model = append_gradients(p.model, "y", ["x"])
    (at,) = (i for i, n in enumerate(model.graph.node) if n.op_type == "QLinearReduceMean")
    named = {"axes": "{" + ",".join(map(str, axes)) + "}"} if axes else {}
    stored = f"<int64[{len(axes)}] axes = {named['axes']}>" if axes else ""
    last = ", axes" if axes else ""
    defined = program(
        f"""
        g (uint8[2,3,4] q, float x_scale, uint8 x_zero, float y_scale, uint8 y_zero)
          => (uint8[{result}] r) {stored} {{
          real = DequantizeLinear(q, x_scale, x_zero)
          mean = ReduceMean<keepdims = {keepdims}>(real{last})
          r = QuantizeLinear(mean, y_scale, y_zero)
        }}
        """
    ).model.graph
    nodes = [*model.graph.node[:at], *defined.node, *model.graph.node[at + 1 :]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(defined.initializer)
    y, dx = session_of(model).run(["y", "x_grad"], p.feeds)
    want = p.feeds["x"].mean(tuple(axes) if axes else None, keepdims=bool(keepdims))
    np.testing.assert_allclose(y, want, atol=OUT)
    np.testing.assert_allclose(dx, np.full((2, 3, 4), want.size / 24), rtol=1e-6)
