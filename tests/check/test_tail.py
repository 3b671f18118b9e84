"""The part of a model between two tensors, in real numbers."""

from __future__ import annotations

import numpy as np
import pytest
from autodiff.numeric import session_of
from autodiff.programs import parsed
from onnx import TensorProto

from onnxcam.check.tail import Tail, tail_of
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.network import Network

TEXT = """
g (float[2,3] x, float[2,3] z) => (float[2,3] y) <float[3] w = {1.0, 2.0, 3.0}> {
  a = Exp(x)
  side = Sin(z)
  b = Mul(a, w)
  c = Mul(b, side)
  d = Cos(c)
  y = Tanh(d)
}
"""
QUANTISED = """
g (float[2,3] x, float s, uint8 z) => (float[2,3] y) {
  a = Exp(x)
  q = QuantizeLinear(a, s, z)
  t = Transpose(q)
  d = DequantizeLinear(t, s, z)
  u = Transpose(d)
  y = Mul(u, a)
}
"""


def tail(text: str, start: str, score: str) -> Tail:
    return tail_of(Network(parsed(text)), start, score)


def test_it_starts_and_ends_where_it_is_told() -> None:
    found = tail(TEXT, "a", "d")
    assert [node.op for node in found.nodes] == ["Mul", "Mul", "Cos"]
    assert [t.name for t in found.boundary] == ["side"]
    assert not found.dequantized


def test_its_model_computes_what_the_whole_does() -> None:
    x, z = np.random.default_rng(0).uniform(-1, 1, (2, 2, 3)).astype(np.float32)
    a, side = np.exp(x), np.sin(z)
    model = tail(TEXT, "a", "d").model({"a": a, "side": side})
    assert sorted(value.name for value in model.graph.input) == ["a", "side"]
    (d,) = session_of(model).run(["d"], {"a": a, "side": side})
    np.testing.assert_allclose(d, np.cos(a * [1, 2, 3] * side), rtol=1e-5, atol=1e-6)


def test_quantised_operators_are_replaced_rounding_left_out_and_saturation_kept() -> None:
    found = tail(QUANTISED, "a", "y")
    assert found.dequantized
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op for node in found.nodes}
    a = np.array([[0.11, 0.52, 1.49], [2.03, 30.0, 7.7]], np.float32)
    recorded = {"a": a, "s": np.array(0.1, np.float32), "z": np.array(10, np.uint8)}
    model = found.model(recorded)
    names = {value.name for value in model.graph.input}
    (y,) = session_of(model).run(["y"], {k: v for k, v in recorded.items() if k in names})
    limit = (255.5 - 10) * 0.1
    np.testing.assert_allclose(y, np.minimum(a, limit) * a, rtol=1e-5)


def test_half_precision_becomes_float32() -> None:
    text = "g (float16[3] x) => (float16[3] y) { a = Exp(x) y = Sin(a) }"
    model = tail(text, "a", "y").model({"a": np.ones(3, np.float16)})
    kinds = [v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)]
    assert kinds == [TensorProto.FLOAT, TensorProto.FLOAT]


def test_bodies_come_along() -> None:
    text = """
    g (float[2] x, bool b) => (float[2] y) {
      a = Exp(x)
      c = If (b) <
        then_branch = yes () => (float[2] r) <float two = {2.0}> { r = Mul(a, two) },
        else_branch = no () => (float[2] r) { r = Sin(a) }
      >
      y = Cos(c)
    }
    """
    found = tail(text, "a", "y")
    assert [t.name for t in found.boundary] == ["b"]
    a = np.array([0.3, 0.7], np.float32)
    for b, want in ((True, np.cos(2 * a)), (False, np.cos(np.sin(a)))):
        feeds = {"a": a, "b": np.array(b)}
        (y,) = session_of(found.model(feeds)).run(["y"], feeds)
        np.testing.assert_allclose(y, want, rtol=1e-5)


def test_what_has_no_derivative_is_refused() -> None:
    text = """
    g (float[2] x, int64 at) => (float[2] y) {
      s = SequenceConstruct(x, x)
      a = SequenceAt(s, at)
      y = Exp(a)
    }
    """
    with pytest.raises(UnsupportedOperatorError):
        tail(text, "x", "y")
