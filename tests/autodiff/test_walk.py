"""What the walk takes for the path: floats, and integers that stand for real numbers."""

from __future__ import annotations

import onnx_graphsurgeon as gs
import pytest
from autodiff.programs import parsed

from onnxcam.autodiff.walk import Path, find_path, missing_derivatives
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients
from onnxcam.graph.network import Network


def path(text: str, wrt: str = "x", of: str = "y", opset: int = 21) -> Path:
    network = Network(parsed(text, opset))
    return find_path(network.graph.nodes, [wrt], [of])


def ops(found: Path) -> list[str]:
    return [node.op for node in found.nodes]


QUANTISED = """
g (float[2,3] x, float s, %s z) => (float[3,2] y) <int64[1] none = {0}> {
  q = QuantizeLinear(x, s, z)
  t = Transpose(q)
  i = Cast<to = 7>(x)
  k = Transpose(i)
  f = Cast<to = 1>(k)
  d = DequantizeLinear(t, s, z)
  y = Add(d, f)
}
"""


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "uint4", "int4", "float8e4m3fn"])
def test_integers_carry_on_only_behind_a_quantising_operator(kind: str) -> None:
    found = path(QUANTISED % kind)
    assert ops(found) == ["QuantizeLinear", "Transpose", "DequantizeLinear", "Add"]
    assert found.reached == {"x", "q", "t", "d", "y"}


def test_indices_made_beside_values_carry_nothing() -> None:
    text = """
    g (float[2,3] x, int64[1] k) => (float[2,3] y) {
      v, i = TopK(x, k)
      f = Cast<to = 1>(i)
      y = Add(f, x)
    }
    """
    assert ops(path(text)) == ["Add"]


def test_the_path_starts_anywhere_and_ends_anywhere() -> None:
    text = "g (float[2] x) => (float[2] y) { a = Exp(x) b = Sin(a) c = Cos(b) y = Mul(c, a) }"
    assert ops(path(text, "a", "c")) == ["Sin", "Cos"]
    assert ops(path(text, "b")) == ["Cos", "Mul"]
    assert path(text, "y", "x").nodes == []


def test_missing_derivatives_are_named_by_node() -> None:
    nodes = [
        gs.Node("Exp", inputs=[gs.Variable("x")], outputs=[gs.Variable("a")]),
        gs.Node("OneOfAKind", inputs=[gs.Variable("a")], outputs=[gs.Variable("y")]),
    ]
    found = find_path(nodes, ["x"], ["y"])
    assert [node.op for node in missing_derivatives(found)] == ["OneOfAKind"]
    assert missing_derivatives(find_path(nodes[:1], ["x"], ["a"])) == []


def test_a_reason_for_a_refusal_is_given() -> None:
    text = """
    g (float[2] x, int64 at) => (float[2] y) {
      s = SequenceConstruct(x, x)
      a = SequenceAt(s, at)
      y = Exp(a)
    }
    """
    with pytest.raises(UnsupportedOperatorError, match="stored positions") as raised:
        append_gradients(parsed(text), "y", ["x"])
    assert "SequenceConstruct" in str(raised.value)
    assert "SequenceAt" in str(raised.value)
