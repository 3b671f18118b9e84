"""What is read off onnx's own messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from onnxcam.graph.protos import (
    Names,
    attributes,
    bodies_of,
    named,
    names_in,
    nodes_of,
    opset_of,
    stored_constant,
)

NESTED = parser.parse_graph(
    """
    g (float[2] x, bool c) => (y)
    <float[2] w = {1.0, 2.0}>
    {
        y = If (c) <
            then_branch = t () => (a) { a = Add (x, w) },
            else_branch = e () => (b) <float[2] v = {3.0, 4.0}> {
                b = If (c) <
                    then_branch = tt () => (d) { d = Mul (x, v) },
                    else_branch = ee () => (f) { f = Neg (x) }
                >
            }
        >
    }
    """
)


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_the_opset_by_both_names(domain: str) -> None:
    model = onnx.ModelProto()
    assert opset_of(model) == 0
    for entry in (("com.microsoft", 21), (domain, 17), ("ai.onnx.ml", 3)):
        model.opset_import.append(helper.make_opsetid(*entry))
    assert opset_of(model) == 17


def test_attributes_by_name() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1], auto_pad="NOTSET", group=2)
    assert attributes(node) == {"pads": [1, 1], "auto_pad": b"NOTSET", "group": 2}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("value", numpy_helper.from_array(np.float16([[1, 2]])), np.float16([[1, 2]])),
        ("value_int", 3, np.int64(3)),
        ("value_ints", [3, 4], np.int64([3, 4])),
        ("value_float", 0.5, np.float32(0.5)),
        ("value_floats", [0.5, 2.0], np.float32([0.5, 2])),
    ],
)
def test_the_numbers_that_a_constant_holds(name: str, value: Any, expected: np.ndarray) -> None:
    tensor = stored_constant(helper.make_node("Constant", [], ["y"], **{name: value}))
    assert tensor is not None
    found = numpy_helper.to_array(tensor)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Constant", [], ["y"], value_string="a"),
        helper.make_node(
            "ConstantOfShape", ["x"], ["y"], value=numpy_helper.from_array(np.ones(1))
        ),
        helper.make_node("Constant", [], ["y"], domain="my.company", value_int=3),
    ],
    ids=["a string", "another operator", "another domain"],
)
def test_what_holds_no_numbers(node: onnx.NodeProto) -> None:
    assert stored_constant(node) is None


def test_bodies_and_what_is_in_them() -> None:
    (branch,) = NESTED.node
    assert [body.name for body in bodies_of(branch)] == ["t", "e"]
    assert [n.op_type for n in nodes_of(NESTED.node)] == ["If", "Add", "If", "Mul", "Neg"]
    assert names_in(NESTED) == set("xcywabvdf")


def test_a_name_that_is_free() -> None:
    names = Names(["a", "a_1"])
    assert [names.free(wanted) for wanted in ("b", "b", "a", "a", "a_1")] == [
        "b", "b_1", "a_2", "a_3", "a_1_1",
    ]  # fmt: skip


def test_how_a_node_is_named() -> None:
    assert named(helper.make_node("Relu", ["x"], ["y"])) == "node 'y' (Relu)"
    assert named(helper.make_node("Relu", ["x"], ["y"], "first")) == "node 'first' (Relu)"
    assert named(helper.make_node("Relu", ["x"], [])) == "node '' (Relu)"
