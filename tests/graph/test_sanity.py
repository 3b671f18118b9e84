"""Numbers that no model means: refused by name, before a library gets to see them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from builders import classifier
from onnx import TensorProto, helper, numpy_helper

from onnxcam.errors import ModelError
from onnxcam.graph.dims import Shape
from onnxcam.graph.sanity import LARGEST_TENSOR, require_possible, require_sane


@pytest.mark.parametrize("shape", [[LARGEST_TENSOR + 1], [2**20, 2**20], [-1, 3], [1] * 65])
def test_a_shape_that_no_tensor_can_have(shape: Shape) -> None:
    with pytest.raises(ModelError, match=r"'x' would have .* no tensor can have"):
        require_possible("x", shape)


@pytest.mark.parametrize("shape", [None, [], [LARGEST_TENSOR], ["n", 3], [None, 0], [1] * 64])
def test_a_shape_that_a_tensor_can_have(shape: Shape | None) -> None:
    require_possible("x", shape)


def test_a_good_model_is_returned_as_it_is() -> None:
    model = classifier()
    assert require_sane(model) is model
    assert model == classifier()


def _in_a_body(model: onnx.ModelProto) -> None:
    pool = helper.make_node("MaxPool", ["x"], ["y"], "inside", kernel_shape=[0, 2])
    body = helper.make_graph([pool], "body", [], [])
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=body))


def _in_an_attribute(model: onnx.ModelProto) -> None:
    stored = numpy_helper.from_array(np.zeros(3, np.float32), "inside")
    stored.dims[0] = 4
    model.graph.node.append(helper.make_node("Constant", [], ["z"], value=stored))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_in_a_body, r"node 'inside' \(MaxPool\) has kernel_shape \[0, 2\]"),
        (_in_an_attribute, r"'inside' have the shape \[4\], which take 16 bytes, but 12"),
    ],
)
def test_what_is_inside_is_looked_at(change: Callable[[onnx.ModelProto], None], says: str) -> None:
    model = classifier()
    change(model)
    with pytest.raises(ModelError, match=says):
        require_sane(model)


@pytest.mark.parametrize(
    "elem_type",
    [TensorProto.INT4, TensorProto.FLOAT8E5M2, TensorProto.BFLOAT16, TensorProto.STRING],
)
def test_values_of_every_type_are_counted(elem_type: int) -> None:
    values = ["a", "b", "c"] if elem_type == TensorProto.STRING else [1, 2, 3]
    for raw in (False, True):
        if raw and elem_type == TensorProto.STRING:
            continue
        dtype = helper.tensor_dtype_to_np_dtype(elem_type)
        stored = (
            numpy_helper.from_array(np.array(values, dtype), "w")
            if raw
            else helper.make_tensor("w", elem_type, [3], values)
        )
        model = classifier()
        model.graph.initializer.append(stored)
        require_sane(model)
        model.graph.initializer[-1].dims[0] = 30
        with pytest.raises(ModelError, match=r"the weights 'w' have the shape \[30\]"):
            require_sane(model)
