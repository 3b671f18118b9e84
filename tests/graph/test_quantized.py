"""The scale and zero point of a quantised tensor, found behind whatever moved it."""

from __future__ import annotations

import pytest
from autodiff.programs import parsed

from onnxcam.graph.network import Network
from onnxcam.graph.quantized import is_real, quantization_of

TEXT = """
g (float[1,2,4,4] x, float s, uint8 z, float t, uint8 u, float v) => (float[1,4,4,2] y)
  <int64[4] to = {1,2,8,2}> {
  q = QuantizeLinear(x, s, z)
  pooled = MaxPool<kernel_shape = [1,1]>(q)
  turned = Transpose<perm = [0,2,3,1]>(pooled)
  nozero = QuantizeLinear(x, s)
  sum = com.microsoft.QLinearAdd(q, s, z, q, s, z, t, u)
  joined = com.microsoft.QLinearConcat<axis = 1>(t, u, q, s, z, sum, t, u)
  leaky = com.microsoft.QLinearLeakyRelu(q, s, z, v, )
  d, ds, dz = DynamicQuantizeLinear(x)
  moved = Reshape(d, to)
  y = DequantizeLinear(turned, s, z)
  index = ArgMax<axis = 1>(x)
  plain = Identity(index)
}
"""


def network() -> Network:
    return Network(parsed(TEXT))


@pytest.mark.parametrize(
    ("name", "scale", "zero_point"),
    [
        ("q", "s", "z"),
        ("pooled", "s", "z"),
        ("turned", "s", "z"),
        ("nozero", "s", None),
        ("sum", "t", "u"),
        ("joined", "t", "u"),
        ("leaky", "v", None),
        ("d", "ds", "dz"),
        ("moved", "ds", "dz"),
    ],
)
def test_the_parameters_are_found(name: str, scale: str, zero_point: str | None) -> None:
    tensor = network().tensors[name]
    found = quantization_of(tensor)
    assert found is not None
    assert found[0].name == scale
    assert (found[1].name if found[1] is not None else None) == zero_point
    assert is_real(tensor)


@pytest.mark.parametrize("name", ["index", "plain", "z", "to"])
def test_integers_that_stand_for_nothing_else(name: str) -> None:
    tensor = network().tensors[name]
    assert quantization_of(tensor) is None
    assert not is_real(tensor)


@pytest.mark.parametrize("name", ["x", "y", "ds"])
def test_floats_are_real(name: str) -> None:
    assert is_real(network().tensors[name])
