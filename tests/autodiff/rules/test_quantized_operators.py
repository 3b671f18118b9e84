"""Convolutions and matrix products of integers: the real ones between two quantisations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autodiff.numeric import session_of
from autodiff.programs import Program, check_cotangents, outputs_of, program, pulled
from autodiff.quantized import IN, OUT, ZEROS, around, check_quantized, cosine, grid, integers

from onnxcam.gradients import append_gradients

CONV = "int8[{w}] w, float[{c}] w_scale, int8[{c}] w_zero"
CHANNELS = np.array([0.5, 1.0, 2.0, 0.25]) / 128


def conv(
    bias: bool = False, attrs: str = "pads = [1,1,1,1]", per: int = 4, **given: Any
) -> Program:
    w = given.pop("w", (4, 2, 3, 3))
    more = CONV.format(w=",".join(map(str, w)), c=per)
    feeds = {"w": integers(*w), "w_scale": CHANNELS[:per], "w_zero": np.zeros(per)}
    if bias:
        more += ", int32[4] bias"
        feeds["bias"] = integers(4, low=-3000, high=3000)
    op = given.pop("domain", "") + "QLinearConv"
    last = ", bias" if bias else ""
    middle = f"r = {op}<{attrs}>(q, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero{last})"
    return around(
        given.pop("shape", "2,2,5,5"),
        given.pop("result", "2,4,5,5"),
        middle,
        more,
        stored="w w_scale w_zero bias",
        **feeds,
        **given,
    )


CONVOLUTIONS = {
    "Conv": conv(),
    "Conv int8": conv(kind="int8"),
    "Conv bias": conv(bias=True),
    "Conv one scale": conv(per=1),
    "Conv strided": conv(attrs="strides = [2,2], dilations = [1,1]", result="2,4,2,2"),
    "Conv grouped": conv(attrs="group = 2, pads = [1,1,1,1]", w=(4, 1, 3, 3)),
    "Conv channels last": conv(
        attrs="pads = [1,1,1,1], channels_last = 1",
        domain="com.microsoft.",
        shape="2,5,5,2",
        result="2,5,5,4",
        bias=True,
    ),
    "Conv 1-D": conv(attrs="pads = [1,1]", w=(4, 2, 3), shape="2,2,7", result="2,4,7"),
}
MATRIX = "{k}[{b}] b, float{s} b_scale, {k}{s} b_zero"


def matmul(
    shape: str, b: tuple[int, ...], result: str, per: str = "", kind: str = "int8"
) -> Program:
    """`per` "[n]" gives every column its scale."""
    count = int(per.strip("[]") or 0)
    more = MATRIX.format(k=kind, b=",".join(map(str, b)), s=per)
    return around(
        shape,
        result,
        "r = QLinearMatMul(q, x_scale, x_zero, b, b_scale, b_zero, y_scale, y_zero)",
        more,
        stored="b b_scale b_zero",
        b=integers(*b, low=0 if kind == "uint8" else -100),
        b_scale=CHANNELS[:count] if count else 1 / 128,
        b_zero=np.zeros(count) if count else 7,
    )


GEMM = """
  r = com.microsoft.QGemm<{attrs}>(q, x_scale, x_zero, b, b_scale, b_zero, {bias}, y_scale, y_zero)
"""


def gemm(attrs: str, shape: str, b: tuple[int, int], bias: bool = True, per: str = "") -> Program:
    count = int(per.strip("[]") or 0)
    feeds: dict[str, Any] = {"c": integers(4, low=-2000, high=2000)} if bias else {}
    return around(
        shape,
        "2,4",
        GEMM.format(attrs=attrs, bias="c" if bias else ""),
        MATRIX.format(k="int8", b=",".join(map(str, b)), s=per) + (", int32[4] c" if bias else ""),
        stored="b b_scale b_zero c",
        b=integers(*b),
        b_scale=CHANNELS[:count] if count else 1 / 128,
        b_zero=np.zeros(count) if count else 7,
        **feeds,
    )


PRODUCTS = {
    "MatMul": matmul("2,3", (3, 4), "2,4"),
    "MatMul uint8": matmul("2,3", (3, 4), "2,4", kind="uint8"),
    "MatMul by column": matmul("2,3", (3, 4), "2,4", per="[4]"),
    "MatMul itself": around(
        "3,3",
        "3,3",
        "r = QLinearMatMul(q, x_scale, x_zero, q, x_scale, x_zero, y_scale, y_zero)",
    ),
    "MatMul batched": matmul("2,2,3", (3, 4), "2,2,4"),
    "MatMul two batches": matmul("2,2,3", (2, 3, 4), "2,2,4"),
    "Gemm": gemm("alpha = 1.0", "2,3", (3, 4)),
    "Gemm transposed": gemm("transB = 1, transA = 0", "2,3", (4, 3)),
    "Gemm transposed, by column": gemm("transB = 1", "2,3", (4, 3), per="[4]"),
    "Gemm both transposed": gemm("transB = 1, transA = 1", "3,2", (4, 3), bias=False),
    "Gemm scaled": gemm("alpha = 0.5", "2,3", (3, 4), bias=False),
}
REAL_RESULT = """
g (float[2,3] x, float x_scale, uint8 x_zero, int8[3,4] b, float[4] b_scale, int8[4] b_zero, %s c)
  => (float[2,4] y) {
  q = QuantizeLinear(x, x_scale, x_zero)
  y = com.microsoft.%s
}
"""


def real_result(call: str, bias: str = "float[4]", **given: Any) -> Program:
    return program(
        REAL_RESULT % (bias, call),
        "x",
        x=grid((2, 3), IN, -60, 60),
        x_scale=IN,
        x_zero=120,
        b=integers(3, 4),
        b_scale=CHANNELS,
        b_zero=np.zeros(4),
        stored="x_scale x_zero b b_scale b_zero c",
        **given,
    )


INTO_FLOAT = {
    "MatMulIntegerToFloat": real_result(
        "MatMulIntegerToFloat(q, b, x_scale, b_scale, x_zero, b_zero, c)"
    ),
    "MatMulIntegerToFloat without zeros": real_result(
        "MatMulIntegerToFloat(q, b, x_scale, b_scale)"
    ),
    "Gemm without a scale of the result": real_result(
        "QGemm<transB = 0>(q, x_scale, x_zero, b, b_scale, b_zero, c)",
        "int32[4]",
        c=integers(4, low=-2000, high=2000),
    ),
}
PROGRAMS = CONVOLUTIONS | PRODUCTS | INTO_FLOAT


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients(name: str) -> None:
    check_quantized(PROGRAMS[name], step=1e-5 if name in INTO_FLOAT else OUT)


@pytest.mark.parametrize("name", PROGRAMS)
def test_cotangents(name: str) -> None:
    check_cotangents(PROGRAMS[name])


DYNAMIC_MATMUL = """
g (float[2,3] x, int8[3,4] b, float[4] b_scale, int8[4] b_zero, float[4] c) => (float[2,4] y) {
  y = com.microsoft.DynamicQuantizeMatMul(x, b, b_scale, b_zero%s)
}
"""


@pytest.mark.parametrize("bias", ["", ", c"])
def test_a_product_that_quantises_inside(bias: str) -> None:
    b = integers(3, 4)
    text = DYNAMIC_MATMUL % bias
    stored = "b b_scale b_zero c"
    p = program(text, "x", b=b, b_scale=CHANNELS, b_zero=np.zeros(4), stored=stored)
    weights = np.random.default_rng(0).uniform(-1, 1, (2, 4))
    want = weights @ (b * CHANNELS).T
    np.testing.assert_allclose(pulled(p, weights)["x"], want, rtol=1e-5)
    check_cotangents(p)


@pytest.mark.parametrize("name", ["Conv", "Conv channels last", "MatMul", "Gemm"])
@pytest.mark.parametrize("side", [-1, 1])
def test_nothing_flows_where_the_result_is_cut_off(name: str, side: int) -> None:
    """The grid of the result is made too fine for nearly all that is computed."""
    p, fine = PROGRAMS[name], np.float32(1e-6)
    model = append_gradients(p.model, "y", ["x"], seed=True)
    (scale,) = (t for t in model.graph.initializer if t.name == "y_scale")
    scale.raw_data = fine.tobytes()
    feeds = {"x": np.abs(p.feeds["x"]) * side}
    (y,) = session_of(model).run(["y"], feeds | {"y_seed": np.ones(outputs_of(p).shape, "f")})
    cut = np.isin(np.round(y / fine) + ZEROS["uint8"][1], (0, 255))
    assert cut.mean() > 0.9
    (dx,) = session_of(model).run(["x_grad"], feeds | {"y_seed": cut.astype(np.float32)})
    np.testing.assert_array_equal(dx, 0)


FLOAT_NET = """
g (float[1,2,8,8] x, float[4,2,3,3] w, float[4,4,3,3] v) => (float[1,4] y) {
  c = Conv<pads = [1,1,1,1]>(x, w)
  a = Relu(c)
  e = Conv<pads = [1,1,1,1]>(a, v)
  f = Add(e, a)
  p = GlobalAveragePool(f)
  s = Sigmoid(p)
  y = Flatten(s)
}
"""
INTEGER_NET = """
g (float[1,2,8,8] x, float one, uint8 half, uint8 none, int8 mid, float fine,
   int8[4,2,3,3] w, float w_scale, int8[4,4,3,3] v, float v_scale, float large) => (float[1,4] y) {
  q = QuantizeLinear(x, one, half)
  a = QLinearConv<pads = [1,1,1,1]>(q, one, half, w, w_scale, mid, large, none)
  e = QLinearConv<pads = [1,1,1,1]>(a, large, none, v, v_scale, mid, large, half)
  f = com.microsoft.QLinearAdd(e, large, half, a, large, none, large, half)
  p = com.microsoft.QLinearGlobalAveragePool(f, large, half, fine, half)
  s = com.microsoft.QLinearSigmoid(p, fine, half, tiny, none)
  t = Flatten(s)
  y = DequantizeLinear(t, tiny, none)
}
""".replace("float large)", "float large, float tiny)")


def test_a_quantised_network_has_nearly_the_gradient_of_the_float_one() -> None:
    w, v = (
        integers(4, 2, 3, 3, low=-127, high=127),
        integers(4, 4, 3, 3, low=-127, high=127, seed=2),
    )
    scales = {"w_scale": 0.3 / 127, "v_scale": 0.2 / 127}
    zeros = {"half": 128, "none": 0, "mid": 0}
    grids = {"one": 1 / 127, "large": 1.5 / 127, "fine": 0.5 / 127, "tiny": 1 / 255}
    p = program(
        INTEGER_NET,
        "x",
        w=w,
        v=v,
        stored="w v " + " ".join({**scales, **zeros, **grids}),
        **scales,
        **zeros,
        **grids,
    )
    q = program(FLOAT_NET, "x", w=w * scales["w_scale"], v=v * scales["v_scale"], stored="w v")
    weights = np.array([[1.0, -0.5, 0.7, 0.3]])
    assert np.abs(outputs_of(p) - outputs_of(q)).max() < 0.02
    got, want = pulled(p, weights)["x"], pulled(q, weights)["x"]
    assert cosine(got, want) > 0.98
