"""Open heights: what only an odd one shows is neither equal nor constant."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from autodiff.numeric import session_of
from onnx import parser

import onnxcam

PADDED_TO_EVEN = """
    s = Shape (x)
    height = Slice (s, two, three, zero)
    odd = Mod (height, two)
    pads = Concat <axis = 0> (before, odd, after)
    y = Pad (x, pads)
"""
HALVED_AND_CROPPED = """
    m = AveragePool <kernel_shape = [1, 1], strides = [2, 2], ceil_mode = 1> (x)
    r = Resize <mode = "nearest"> (m, "", scales)
    s = Shape (x)
    e = Slice (s, two, three, zero)
    y = Slice (r, zero, e, two)
"""
CROPPED_IN_FRONT = """
    m = Slice (x, zero, end, two, two)
    r = ConvTranspose <strides = [2, 1], pads = [0, 0, 0, 1]> (m, k)
    s = Shape (x)
    t = Shape (r)
    d = Sub (t, s)
    b = Slice (d, two, three, zero)
    y = Slice (r, b, end, two)
"""


def linear_in_x(nodes: str) -> onnx.ModelProto:
    return parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 15]>
        g (float[1, 1, h, w] x) => (float[1, 1, p, q] y)
        <int64[1] two = {{2}}, int64[1] three = {{3}}, int64[1] zero = {{0}},
         int64[2] before = {{0, 0}}, int64[5] after = {{0, 0, 0, 0, 0}},
         int64[1] end = {{9223372036854775807}}, float[4] scales = {{1.0, 1.0, 2.0, 2.0}},
         float[1, 1, 2, 2] k = {{1.0, 2.0, 3.0, 4.0}}>
        {{ {nodes} }}""")


@pytest.mark.parametrize("height", [6, 7, 8, 9])
@pytest.mark.parametrize("nodes", [PADDED_TO_EVEN, HALVED_AND_CROPPED, CROPPED_IN_FRONT])
def test_the_gradient_is_the_transpose(nodes: str, height: int) -> None:
    model = linear_in_x(nodes)
    x = np.random.default_rng(0).normal(size=(1, 1, height, 8)).astype(np.float32)
    (y,) = session_of(model).run(["y"], {"x": x})
    seed = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    rewritten = onnxcam.append_gradients(model, of="y", wrt=["x"], seed=True)
    (gradient,) = session_of(rewritten).run(["x_grad"], {"x": x, "y_seed": seed})
    assert gradient.shape == x.shape
    assert (gradient * x).sum() == pytest.approx((seed * y).sum(), rel=1e-4)


def u_net(levels: int, rounding: str) -> onnx.ModelProto:
    """Halved `levels` times, doubled again and cropped to what was there before, each time."""
    down, up = [], []
    for k in range(levels):
        down += [
            f"d{k} = AveragePool <kernel_shape = [1, 1], strides = [2, 2], {rounding}> (x{k})",
            f"x{k + 1} = Tanh (d{k})",
        ]
    for k in reversed(range(levels)):
        below = "x" if k == levels - 1 else "y"
        up += [
            f'u{k} = Resize <mode = "nearest"> ({below}{k + 1}, "", scales)',
            f'p{k} = Pad <mode = "edge"> (u{k}, one_more)',
            f"s{k} = Shape (x{k})",
            f"e{k} = Slice (s{k}, two, four, zero)",
            f"c{k} = Slice (p{k}, zeros, e{k}, spatial)",
            f"y{k} = Add (c{k}, x{k})",
        ]
    nodes = "\n".join(["x0 = Identity (x)", *down, *up, "y = Identity (y0)"])
    return parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 15]>
        g (float[1, 1, h, w] x) => (float[1, 1, h, w] y)
        <int64[1] two = {{2}}, int64[1] four = {{4}}, int64[1] zero = {{0}},
         int64[2] zeros = {{0, 0}}, int64[2] spatial = {{2, 3}},
         int64[8] one_more = {{0, 0, 0, 0, 0, 0, 1, 1}}, float[4] scales = {{1.0, 1.0, 2.0, 2.0}}>
        {{ {nodes} }}""")


@pytest.mark.parametrize("size", [(32, 40), (31, 47), (33, 65), (35, 44), (37, 59)])
@pytest.mark.parametrize("rounding", ["ceil_mode = 0", "ceil_mode = 1"])
def test_a_u_net_of_any_size(rounding: str, size: tuple[int, int]) -> None:
    """Against the same network exported at that size."""
    opened, fixed = u_net(4, rounding), u_net(4, rounding)
    for value in (*fixed.graph.input, *fixed.graph.output):
        for axis, length in zip((2, 3), size, strict=True):
            value.type.tensor_type.shape.dim[axis].dim_value = length
    x = np.random.default_rng(0).normal(size=(1, 1, *size)).astype(np.float32)
    seed = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    found = []
    for model in (opened, fixed):
        rewritten = onnxcam.append_gradients(model, of="y", wrt=["x"], seed=True)
        found += session_of(rewritten).run(["x_grad"], {"x": x, "y_seed": seed})
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
