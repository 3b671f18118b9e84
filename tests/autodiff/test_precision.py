"""Cotangents are float32 whatever the model is, and float64 where it is."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.floats import with_floats
from autodiff.numeric import complete, session_of
from autodiff.programs import assert_near, in_half, parsed, program, pulled
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from onnxcam.autodiff import cotangent_dtype, differentiate
from onnxcam.autodiff.precision import in_single_precision, widened
from onnxcam.gradients import append_gradients
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

DEEP = """
g (float[2,6] x, float[6,6] w, float[6] b) => (float[2,6] y)
  <float small = {0.001}, float large = {1000.0}> {
  a = MatMul(x, w)
  c = Add(a, b)
  t = Tanh(c)
  d = Mul(t, small)
  e = Mul(d, small)
  f = Mul(e, large)
  h = Mul(f, large)
  s = Sigmoid(h)
  n = LayerNormalization(s, b, b)
  y = Softmax<axis = -1>(n)
}
"""


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1.0, 1e6, 1e9])
def test_cotangents_beyond_the_range_of_half_precision(size: float) -> None:
    """Those below 6e-8 would be zero, and those above 65504 infinite, in float16.

    The model's own float16 numbers are as good as they are; the gradient is linear in the seed.
    """
    p = program(DEEP, "x w", opset=17)
    seed = np.random.default_rng(0).uniform(-1, 1, (2, 6))
    want, got, one = pulled(p, seed), pulled(in_half(p), seed * size), pulled(in_half(p), seed)
    for name in p.wrt:
        assert got[name].dtype == np.float32
        assert_near(got[name] / size, one[name], 1e-5, name)
        assert_near(got[name] / size, want[name], 0.03, name)


def test_sums_of_many_small_parts_do_not_stop_growing() -> None:
    """In float16 1 + 1/4096 is 1; the gradient of a broadcast bias is the sum of all cotangents."""
    p = program("g (float[8192] x, float b) => (float[8192] y) { y = Add(x, b) }", "b")
    got = pulled(in_half(p), np.full(8192, 1 / 4096))
    np.testing.assert_allclose(got["b"], 2.0, rtol=1e-5)


def test_in_bfloat16() -> None:
    text = """
    g (float[2,3] x, float[3,3] w) => (float[2,3] y) { a = MatMul(x, w) b = Tanh(a) y = Mul(b, x) }
    """
    p = program(text)
    e = Emitter(Network(with_floats(p.model, TensorProto.BFLOAT16)))
    seed = e.constant(np.full((2, 3), 1e-20), np.float32)
    found = differentiate(e, {"y": seed}, p.wrt)
    model = complete(e, {f"d_{name}": dx for name, dx in found.items()}, [])
    onnx.checker.check_model(model, full_check=True)
    feeds = {k: v.astype(e.network.tensors[k].dtype) for k, v in p.feeds.items()}
    got = ReferenceEvaluator(model).run([f"d_{name}" for name in found], feeds)
    want = pulled(p, np.ones((2, 3)))
    for name, dx in zip(found, got, strict=True):
        assert dx.dtype == np.float32
        assert_near(dx * 1e20, want[name], 0.05, name)


def test_a_float64_model_is_differentiated_in_float64() -> None:
    p = program("g (float[2,3] x) => (float[2,3] y) { a = Sin(x) y = Mul(a, x) }")
    model = append_gradients(with_floats(p.model, TensorProto.DOUBLE), "y", ["x"])
    x = p.feeds["x"].astype(np.float64)
    (dx,) = session_of(model).run(["x_grad"], {"x": x})
    assert dx.dtype == np.float64
    np.testing.assert_allclose(dx, np.sin(x) + x * np.cos(x), rtol=1e-14)


def test_a_float64_part_of_a_float32_model() -> None:
    text = """
    g (float[3] x) => (float[3] y) {
      d = Cast<to = 11>(x)
      e = Sin(d)
      f = Cast<to = 1>(e)
      y = Mul(f, x)
    }
    """
    p = program(text)
    x = p.feeds["x"].astype(np.float64)
    np.testing.assert_allclose(pulled(p, np.ones(3))["x"], np.sin(x) + x * np.cos(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "found"),
    [("float64", "float64"), ("float32", "float32"), ("float16", "float32"), ("int8", "float32")],
)
def test_the_type_of_a_cotangent(given: str, found: str) -> None:
    assert cotangent_dtype(gs.Variable("x", np.dtype(given), [2])) == np.dtype(found)


MIXED = """
g (float16[2] x, int64[1] axis) => (float16[2] y) <int64[1] one = {1}, float16 half = {15360}> {
  a = Mul(x, half)
  i = Gather(a, one)
  y = Add(a, i)
}
"""


def emitter() -> Emitter:
    return Emitter(Network(parsed(MIXED)))


def test_only_narrow_tensors_of_a_node_are_cast() -> None:
    e = emitter()
    gather = next(node for node in e.network.graph.nodes if node.op == "Gather")
    stand_in = in_single_precision(e, gather, {"x", "a", "i", "y"})
    assert [t.dtype.name for t in stand_in.inputs] == ["float32", "int64"]
    assert stand_in.outputs[0].dtype == np.float32
    assert gather.inputs[0].dtype == np.float16  # the model's own node stays


def test_a_node_in_single_precision_is_read_as_it_is() -> None:
    e = Emitter(Network(parsed("g (float[2] x) => (float[2] y) { y = Exp(x) }")))
    (node,) = e.network.graph.nodes
    assert in_single_precision(e, node, {"x", "y"}) is node
    assert e.nodes == []


def test_a_small_stored_value_is_widened_beforehand() -> None:
    e = emitter()
    wide = widened(e, e.network.tensors["half"])
    assert isinstance(wide, gs.Constant)
    assert wide.values == 1.0
    assert wide.dtype == np.float32
    assert e.nodes == []


def test_a_tensor_is_cast_once() -> None:
    e = emitter()
    first, second = (widened(e, e.network.tensors["a"]) for _ in range(2))
    assert first is second
    assert [node.op for node in e.nodes] == ["Cast"]
