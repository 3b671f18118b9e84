"""A model in another floating point type: weights, declarations, attributes and bodies."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from autodiff.programs import parsed
from builders import as_float16, classifier
from graphs import pictures
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxcam.check.types import in_type

TEXT = """
g (float[2,3] x, int64[1] axis, bool b) => (float[2,3] y) <float[3] w = {1.0, 2.0, 3.0}> {
  i = Cast<to = 7>(x)
  f = Cast<to = 1>(i)
  c = If (b) <
    then_branch = yes () => (float[2,3] r) <float two = {2.0}> { r = Mul(f, two) },
    else_branch = no () => (float[2,3] r) { k = Constant<value = float {3.0}>() r = Mul(x, k) }
  >
  y = Mul(c, w)
}
"""


def types(graph: onnx.GraphProto) -> set[int]:
    """Element types of all that is declared or stored, bodies included."""
    found = {v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)}
    found |= {tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= types(attribute.g)
            if attribute.HasField("t"):
                found.add(attribute.t.data_type)
            if attribute.name == "to":
                found.add(attribute.i)
    return found


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT16])
def test_all_that_is_real_has_the_type(kind: int) -> None:
    model = in_type(parsed(TEXT), kind)
    assert types(model.graph) == {kind, TensorProto.INT64, TensorProto.BOOL}
    onnx.checker.check_model(model, full_check=True)


def test_the_model_itself_stays() -> None:
    model = parsed(TEXT)
    before = model.SerializeToString()
    in_type(model, TensorProto.DOUBLE)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("b", [True, False])
def test_it_computes_the_same(b: bool) -> None:
    model = parsed(TEXT)
    x = np.array([[1.2, -2.7, 3.5], [0.4, 5.0, -6.1]])
    feeds = {"axis": np.array([0]), "b": np.array(b)}
    (wide,) = ReferenceEvaluator(in_type(model, TensorProto.DOUBLE)).run(None, feeds | {"x": x})
    (plain,) = ReferenceEvaluator(model).run(None, feeds | {"x": x.astype(np.float32)})
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, plain, rtol=1e-6)


def test_half_precision_weights_are_widened_as_they_are() -> None:
    half = as_float16(classifier())
    model = in_type(half, TensorProto.FLOAT)
    for before, after in zip(half.graph.initializer, model.graph.initializer, strict=True):
        if before.data_type == TensorProto.FLOAT16:
            want = numpy_helper.to_array(before).astype(np.float32)
            np.testing.assert_array_equal(numpy_helper.to_array(after), want)
    (logits,) = ReferenceEvaluator(model).run(None, {"image": pictures()})
    assert logits.dtype == np.float32


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_types_that_numpy_does_not_have(name: str) -> None:
    value = np.array([0.5, -2.0, 1.25]).astype(getattr(ml_dtypes, name))
    tensor = numpy_helper.from_array(value, "w")
    x = helper.make_tensor_value_info("x", tensor.data_type, [3])
    y = helper.make_tensor_value_info("y", tensor.data_type, [3])
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [x], [y], [tensor])
    model = in_type(helper.make_model(graph), TensorProto.DOUBLE)
    found = numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_array_equal(found, value.astype(np.float64))
    assert types(model.graph) == {TensorProto.DOUBLE}
