"""QuantizeLinear and DequantizeLinear: straight through, nothing where a value was cut off."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from autodiff.programs import Program, check_cotangents, outputs_of, program, pulled
from autodiff.quantized import check_quantized, cosine, grid

from onnxcam.autodiff.rules.quantization import limits

SCALE = 1 / 64


def there_and_back(
    kind: str, zero: int, opset: int = 21, domain: str = "", scale: str = "float"
) -> str:
    """x in integers of a type and back, then something that is not linear."""
    return f"""
    g ({scale}[2,3] x, {scale} s, {kind} z) => ({scale}[2,3] y) {{
      q = {domain}QuantizeLinear(x, s, z)
      d = {domain}DequantizeLinear(q, s, z)
      y = Mul(d, d)
    }}
    """


RANGES = {
    "uint8": 130, "int8": -3, "uint16": 30000, "int16": 5, "uint4": 7, "int4": -1,
}  # fmt: skip


def ends(kind: str) -> tuple[int, int]:
    return tuple(int(bound) for bound in limits(np.dtype(getattr(ml_dtypes, kind, kind))))


def scale_of(kind: str) -> float:
    return 0.5 if kind.endswith("int4") else SCALE


def in_range(kind: str, zero: int) -> np.ndarray:
    low, high = ends(kind)
    room = min(zero - low, high - zero, 60) - 1
    return grid((2, 3), scale_of(kind), -room, room)


PER_TENSOR = {
    f"{domain or 'onnx'} {kind}": program(
        there_and_back(kind, zero, domain=domain),
        "x",
        x=in_range(kind, zero),
        s=scale_of(kind),
        z=np.array(zero).astype(getattr(ml_dtypes, kind, kind)),
        stored="s z",
        opset=21,
    )
    for domain in ("", "com.microsoft.")
    for kind, zero in RANGES.items()
}
PER_TENSOR["opset 10, converted"] = program(
    there_and_back("int8", 0), "x", x=in_range("int8", 0), s=SCALE, z=0, stored="s z", opset=10
)
NO_ZERO_POINT = """
g (float[2,3] x, float s) => (float[2,3] y) {
  q = QuantizeLinear(x, s)
  d = DequantizeLinear(q, s)
  y = Mul(d, d)
}
"""
NAMED_TYPE = NO_ZERO_POINT.replace("QuantizeLinear(x", "QuantizeLinear<output_dtype = 3>(x", 1)
PER_AXIS = """
g (float[2,3,4] x, float[3] s, int8[3] z) => (float[2,3,4] y) {
  q = QuantizeLinear<axis = %d>(x, s, z)
  d = DequantizeLinear<axis = %d>(q, s, z)
  y = Mul(d, d)
}
"""
BLOCKED = """
g (float[2,5,3] x, float[2,%d,3] s, int8[2,%d,3] z) => (float[2,5,3] y) {
  q = QuantizeLinear<axis = %d, block_size = %d>(x, s, z)
  d = DequantizeLinear<axis = %d, block_size = %d>(q, s, z)
  y = Mul(d, d)
}
"""
SCALES = np.array([0.5, 1.0, 2.0]) * SCALE


def blocked(axis: int, block: int) -> Program:
    blocks = -(-5 // block)
    numbers = np.random.default_rng(1).choice([0.5, 1.0, 2.0], (2, blocks, 3)) * SCALE
    x = np.random.default_rng(2).integers(-50, 50, (2, 5, 3)) * np.repeat(numbers, block, 1)[:, :5]
    zero = np.random.default_rng(3).integers(-5, 5, (2, blocks, 3))
    text = BLOCKED % (blocks, blocks, axis, block, axis, block)
    return program(text, "x", x=x, s=numbers, z=zero, stored="s z", opset=21)


MORE = {
    "no zero point": program(NO_ZERO_POINT, "x", x=np.abs(grid((2, 3), SCALE, 1, 60)), s=SCALE),
    "named type": program(NAMED_TYPE, "x", x=grid((2, 3), SCALE, -60, 60), s=SCALE, opset=21),
    **{
        f"along {axis}": program(
            PER_AXIS % (axis, axis),
            "x",
            x=grid((2, 3, 4), 1.0, -20, 20) * SCALES[:, None],
            s=SCALES,
            z=[1, -2, 3],
            stored="s z",
        )
        for axis in (1, -2)
    },
    **{
        f"blocks of {block} along {axis}": blocked(axis, block)
        for block in (2, 3, 5)
        for axis in (1, -2)
    },
}
PROGRAMS = PER_TENSOR | MORE


@pytest.mark.parametrize("p", PROGRAMS.values(), ids=PROGRAMS)
def test_the_gradient_goes_straight_through(p: Program) -> None:
    check_quantized(p, step=1e-5)
    x, dx = p.feeds["x"], pulled(p, np.ones(p.feeds["x"].shape))["x"]
    np.testing.assert_allclose(dx, 2 * x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["onnx int8", "along 1", "blocks of 2 along 1"])
def test_cotangents(name: str) -> None:
    check_cotangents(PROGRAMS[name])


@pytest.mark.parametrize("kind", RANGES)
def test_nothing_flows_where_a_value_is_cut_off(kind: str) -> None:
    zero, (low, high) = RANGES[kind], ends(kind)
    numbers = np.array([[low - 9, low - 0.6, low - 0.4], [high + 9, high + 0.6, high + 0.4]])
    p = PER_TENSOR[f"onnx {kind}"]
    x = ((numbers - zero) * scale_of(kind)).astype(np.float32)
    p = Program(p.model, {"x": x}, ("x",), "y")
    dx = pulled(p, np.ones((2, 3)))["x"]
    np.testing.assert_array_equal(dx[:, :2], 0)
    np.testing.assert_array_equal(dx[:, 2] != 0, True)


def scaled(kind: str = "int8") -> Program:
    """The scale is fed; where x is no multiple of it, the rounding does not cancel."""
    text = f"""
    g (float[2,3] x, float s, {kind} z) => (float[2,3] y) {{
      q = QuantizeLinear(x, s, z)
      d = DequantizeLinear(q, t, z)
      y = Mul(d, d)
    }}
    """.replace("(float[2,3] y) {", f"(float[2,3] y) <float t = {{{SCALE * 2}}}> {{")
    return program(text, "s", x=grid((2, 3), SCALE, -50, 50), s=SCALE, z=3, stored="z")


def test_the_scale_of_the_first_step_has_a_gradient() -> None:
    check_quantized(scaled(), step=1e-5, tolerance=2e-3)


def test_the_scale_of_the_second_step_has_a_gradient() -> None:
    text = """
    g (int8[2,3] q, float[3] s, int8[3] z) => (float[2,3] y) {
      d = DequantizeLinear<axis = 1>(q, s, z)
      y = Mul(d, d)
    }
    """
    q = np.array([[1, -20, 30], [44, 5, -60]])
    p = program(text, "s", q=q, s=SCALES, z=[1, 2, 3], stored="z")
    check_quantized(p, step=1e-5)
    check_cotangents(p)


def test_weights_stored_as_integers_pass_the_gradient_on() -> None:
    text = """
    g (float[2,3] x, int4[3,2] w, float[2] s) => (float[2,2] y) {
      d = DequantizeLinear<axis = 1>(w, s)
      y = MatMul(x, d)
    }
    """
    w = np.array([[1, -8], [7, 3], [-2, 5]])
    p = program(text, "x", w=w.astype(ml_dtypes.int4), s=[0.5, 0.25], stored="w s", opset=21)
    dx = pulled(p, np.ones((2, 2)))["x"]
    np.testing.assert_allclose(dx, np.tile((w * [0.5, 0.25]).sum(1), (2, 1)), rtol=1e-6)


FLOAT8 = """
g (float[2,3] x, float s, %s z) => (float[2,3] y) {
  q = QuantizeLinear(x, s, z)
  d = DequantizeLinear(q, s, z)
  y = Mul(d, d)
}
"""


@pytest.mark.parametrize("kind", ["float8e4m3fn", "float8e5m2"])
def test_float8(kind: str) -> None:
    x = np.array([[1.0, -2.0, 0.5], [4.0, -0.25, 8.0]], np.float32)
    name = {"float8e4m3fn": "float8_e4m3fn", "float8e5m2": "float8_e5m2"}[kind]
    p = program(
        FLOAT8 % kind,
        "x",
        x=x,
        s=1.0,
        z=np.zeros((), getattr(ml_dtypes, name)),
        stored="s z",
        opset=21,
    )
    np.testing.assert_allclose(outputs_of(p), x * x)
    np.testing.assert_allclose(pulled(p, np.ones((2, 3)))["x"], 2 * x, rtol=1e-5)


def test_half_precision_with_its_own_scale() -> None:
    p = program(
        there_and_back("int8", 0, scale="float16"),
        "x",
        x=grid((2, 3), SCALE, -60, 60),
        s=SCALE,
        z=0,
        stored="s z",
        opset=21,
    )
    dx = pulled(p, np.full((2, 3), 1e-7))["x"]  # below what float16 holds
    np.testing.assert_allclose(dx, 2e-7 * p.feeds["x"].astype(np.float32), rtol=1e-3)


DYNAMIC = """
g (float[2,3,6,6] x, int8[4,3,3,3] w, int8 w_zero, float[1,4,1,1] w_scale) => (float[2,4,6,6] y) {
  q, s, z = DynamicQuantizeLinear(x)
  c = ConvInteger<pads = [1,1,1,1]>(q, w, z, w_zero)
  f = Cast<to = 1>(c)
  both = Mul(s, w_scale)
  d = Mul(f, both)
  y = Tanh(d)
}
"""
FLOATING = """
g (float[2,3,6,6] x, float[4,3,3,3] w) => (float[2,4,6,6] y) {
  d = Conv<pads = [1,1,1,1]>(x, w)
  y = Tanh(d)
}
"""


def test_dynamic_quantisation_has_nearly_the_gradient_of_the_float_model() -> None:
    w = np.random.default_rng(0).integers(-127, 127, (4, 3, 3, 3))
    scale = np.array([0.2, 0.5, 0.3, 0.1]).reshape(1, 4, 1, 1) / 127
    stored = "w w_zero w_scale"
    quantised = program(DYNAMIC, "x", w=w, w_zero=0, w_scale=scale, stored=stored)
    floating = program(FLOATING, "x", w=w * scale.reshape(4, 1, 1, 1), stored="w")
    seed = np.random.default_rng(1).uniform(-1, 1, (2, 4, 6, 6))
    got, want = pulled(quantised, seed)["x"], pulled(floating, seed)["x"]
    assert cosine(got, want) > 0.9995
    assert np.abs(got - want).max() < 0.03 * np.abs(want).max()
    assert np.abs(outputs_of(quantised) - outputs_of(floating)).max() < 0.02


def test_dynamic_quantisation_without_a_zero_point_for_the_weights() -> None:
    text = """
    g (float[2,3] x, uint8[3,4] w) => (float[2,4] y) {
      q, s, z = DynamicQuantizeLinear(x)
      c = MatMulInteger(q, w, z)
      f = Cast<to = 1>(c)
      y = Mul(f, s)
    }
    """
    w = np.random.default_rng(0).integers(0, 255, (3, 4))
    p = program(text, "x", w=w, stored="w")
    dx = pulled(p, np.ones((2, 4)))["x"]
    np.testing.assert_allclose(dx, np.tile(w.sum(1), (2, 1)), rtol=1e-5)
    check_cotangents(p)


MOVED = """
g (float[1,2,4,4] x, float s, uint8 z) => (float y) <%s> {
  q = QuantizeLinear(x, s, z)
  %s
  d = DequantizeLinear(m, s, z)
  t = Tanh(d)
  w = Mul(t, d)
  y = ReduceSum<keepdims = 0>(w)
}
"""
MOVES = {
    "MaxPool": ("", "m = MaxPool<kernel_shape = [2,2], strides = [2,2]>(q)"),
    "Reshape": ("int64[2] to = {2, -1}", "m = Reshape(q, to)"),
    "Transpose": ("", "m = Transpose<perm = [0,2,3,1]>(q)"),
    "Concat": ("", "m = Concat<axis = 1>(q, q)"),
    "Flatten": ("", "m = Flatten(q)"),
    "Identity": ("", "m = Identity(q)"),
    "Split": ("", "a, b = Split<axis = 1, num_outputs = 2>(q) m = Concat<axis = 2>(b, a)"),
    "Slice": (
        "int64[1] from = {1}, int64[1] to = {3}, int64[1] axis = {2}",
        "m = Slice(q, from, to, axis)",
    ),
    "Gather": ("int64[2] at = {1, 0}", "m = Gather<axis = 1>(q, at)"),
    "Pad": (
        "int64[8] pads = {0, 0, 1, 0, 0, 0, 0, 2}, uint8 fill = {128}",
        "m = Pad(q, pads, fill)",
    ),
    "Resize": (
        "float[4] by = {1.0, 1.0, 2.0, 2.0}",
        'm = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric">(q, , by)',
    ),
    "DepthToSpace": ("", "r = Concat<axis = 1>(q, q) m = DepthToSpace<blocksize = 2>(r)"),
    "Squeeze": ("int64[1] first = {0}", "r = Squeeze(q, first) m = Unsqueeze(r, first)"),
    "Expand": ("int64[4] to = {3, 2, 4, 4}", "m = Expand(q, to)"),
    "Tile": ("int64[4] to = {1, 2, 1, 1}", "m = Tile(q, to)"),
}


@pytest.mark.parametrize("name", MOVES)
def test_integers_that_are_moved_on_carry_the_gradient(name: str) -> None:
    """Whatever moves them, the result is that of the same on real numbers."""
    x = (np.random.default_rng(0).permutation(32).reshape(1, 2, 4, 4) - 16) * np.float32(SCALE)
    text = MOVED % MOVES[name]
    p = program(text, "x", x=x, s=SCALE, z=128, stored="s z")
    check_quantized(p, step=1e-5)
