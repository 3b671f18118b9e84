"""The shape arithmetic's NumPy evaluators against onnx's reference evaluator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxcam.graph.interpret import _EVALUATE, interpret

OPSET = 18


def model_of(
    op: str, inputs: list[np.ndarray | None], attrs: dict[str, Any], opset: int = OPSET
) -> onnx.ModelProto:
    """The operator on stored inputs; a None is left out."""
    names = ["" if value is None else f"x{k}" for k, value in enumerate(inputs)]
    stored = [
        numpy_helper.from_array(np.asarray(value), f"x{k}")
        for k, value in enumerate(inputs)
        if value is not None
    ]
    node = helper.make_node(op, names, ["y"], **attrs)
    output = helper.make_empty_tensor_value_info("y")
    graph = helper.make_graph([node], "one", [], [output], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def value_of(op: str, *inputs: Any, opset: int = OPSET, **attrs: Any) -> np.ndarray | None:
    arrays = [None if value is None else np.asarray(value) for value in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return interpret(model_of(op, arrays, attrs, opset))[1].get("y")


def reference(op: str, *inputs: Any, opset: int = OPSET, **attrs: Any) -> np.ndarray:
    arrays = [None if value is None else np.asarray(value) for value in inputs]
    return np.asarray(ReferenceEvaluator(model_of(op, arrays, attrs, opset)).run(None, {})[0])


INT = np.int64(0)
A = np.array([[3, -4, 5], [6, 7, -8]])
CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("Identity", [A], {}),
    ("Cast", [A], {"to": 1}),
    ("Cast", [np.array([1.7, -1.7])], {"to": 7}),
    ("Cast", [A], {"to": 9}),
    ("Gather", [A, np.array([1, -1])], {"axis": 1}),
    ("Gather", [A, np.array(0)], {}),
    ("Concat", [A, A], {"axis": -1}),
    ("Unsqueeze", [A, np.array([0, -1])], {}),
    ("Squeeze", [A[None, :, None], np.array([0, 2])], {}),
    ("Squeeze", [A[None, :, None]], {}),
    ("Squeeze", [A[None, :, None], None], {}),
    ("Slice", [A, np.array([0]), np.array([2]), np.array([1])], {}),
    ("Slice", [A, np.array([-1]), np.array([-(2**63)]), np.array([1]), np.array([-1])], {}),
    ("Slice", [A, np.array([1]), np.array([2**63 - 1])], {}),
    ("Slice", [A, np.array([0, 1]), np.array([1, 3]), None, np.array([1, 2])], {}),
    ("Reshape", [A, np.array([3, -1])], {}),
    ("Reshape", [A, np.array([0, 1, -1])], {}),
    ("Reshape", [A[:, :0], np.array([0, 5])], {"allowzero": 1}),
    ("Transpose", [A], {}),
    ("Transpose", [A], {"perm": [1, 0]}),
    ("Expand", [A[:1], np.array([4, 1, 3])], {}),
    ("Expand", [np.array([True]), np.array([2])], {}),
    ("ConstantOfShape", [np.array([2, 3])], {}),
    ("ConstantOfShape", [np.array([2])], {"value": numpy_helper.from_array(np.array([7]))}),
    ("ConstantOfShape", [np.array([], np.int64)], {}),
    ("Range", [np.array(2), np.array(9), np.array(3)], {}),
    ("Range", [np.float32(1), np.float32(2), np.float32(0.25)], {}),
    ("Where", [A > 0, A, np.array(9)], {}),
    ("Size", [A], {}),
    ("Neg", [A], {}),
    ("Abs", [A], {}),
    ("Floor", [np.float32([1.5, -1.5])], {}),
    ("Ceil", [np.float32([1.5, -1.5])], {}),
    ("Sqrt", [np.float32([4, 2])], {}),
    ("Not", [A > 0], {}),
    ("And", [A > 0, A < 5], {}),
    ("Or", [A > 5, A < 0], {}),
    ("Min", [A, A[::-1], np.array(4)], {}),
    ("Max", [A, A[::-1], np.array(4)], {}),
    ("Mod", [A, np.array(3)], {}),
    ("Mod", [A, np.array(-3)], {}),
    ("Mod", [A, np.array(3)], {"fmod": 1}),
    ("Div", [np.float32([1, -3]), np.float32([2, 2])], {}),
    ("ReduceProd", [A], {}),
    ("ReduceProd", [A, np.array([1])], {"keepdims": 0}),
    ("ReduceSum", [A.astype(np.int32), np.array([-1])], {}),
    ("ReduceSum", [A, np.array([], np.int64)], {}),
    ("ReduceSum", [A, np.array([], np.int64)], {"noop_with_empty_axes": 1}),
    ("ReduceSum", [A, None], {"keepdims": 0}),
    ("ReduceMax", [A, np.array([0])], {"keepdims": 0}),
    ("ReduceMin", [A], {"keepdims": 0}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}{case[2] or ''}")
def test_an_evaluator_agrees_with_the_reference(case: tuple[str, list[Any], dict]) -> None:
    op, inputs, attrs = case
    computed, expected = value_of(op, *inputs, **attrs), reference(op, *inputs, **attrs)
    assert computed is not None
    assert computed.dtype == expected.dtype
    assert computed.shape == expected.shape
    np.testing.assert_array_equal(computed, expected)


BINARY = ["Add", "Sub", "Mul", "Div", "Mod", "Equal", "Greater", "Less", "Min", "Max"]


def test_every_evaluator_has_a_case() -> None:
    assert set(_EVALUATE) == {op for op, _, _ in CASES} | set(BINARY)


DTYPES = st.sampled_from([np.int64, np.int32, np.float32])


@settings(max_examples=120, deadline=None)
@given(
    op=st.sampled_from(BINARY),
    a=st.lists(st.integers(0, 50), min_size=1, max_size=4),
    b=st.integers(1, 9),
    scalar=st.booleans(),
    dtype=DTYPES,
)
def test_binary_operators_agree(op: str, a: list[int], b: int, scalar: bool, dtype: type) -> None:
    inputs = [np.array(a[0] if scalar else a, dtype), np.array(b, dtype)]
    attrs = {"fmod": 1} if op == "Mod" and dtype is np.float32 else {}
    computed, expected = value_of(op, *inputs, **attrs), reference(op, *inputs, **attrs)
    assert computed is not None
    assert computed.dtype == expected.dtype
    np.testing.assert_array_equal(computed, expected)


@settings(max_examples=100, deadline=None)
@given(
    size=st.integers(0, 6),
    start=st.integers(-8, 8),
    stop=st.integers(-8, 8),
    step=st.sampled_from([1, 2, 3, -1, -2]),
)
def test_slices_agree(size: int, start: int, stop: int, step: int) -> None:
    inputs = [np.arange(size), *(np.array([k]) for k in (start, stop, 0, step))]
    np.testing.assert_array_equal(value_of("Slice", *inputs), reference("Slice", *inputs))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    op=st.sampled_from(["ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"]),
    keepdims=st.integers(0, 1),
    data=st.data(),
)
def test_reductions_agree(shape: list[int], op: str, keepdims: int, data: st.DataObject) -> None:
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    x = np.arange(np.prod(shape)).reshape(shape) + 1
    inputs = [x, np.array(sorted(axes))]
    computed = value_of(op, *inputs, keepdims=keepdims)
    np.testing.assert_array_equal(computed, reference(op, *inputs, keepdims=keepdims))


@pytest.mark.parametrize(("a", "b", "quotient"), [(7, 2, 3), (-7, 2, -3), (7, -2, -3), (-8, 2, -4)])
def test_whole_numbers_are_divided_towards_zero(a: int, b: int, quotient: int) -> None:
    assert value_of("Div", a, b) == quotient


def test_large_whole_numbers_are_divided_exactly() -> None:
    assert value_of("Div", 2**62 + 1, 1) == 2**62 + 1


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        ("Div", [np.array(1), np.array(0)]),
        ("Mod", [np.array(1), np.array(0)]),
        ("Div", [np.float32(0), np.float32(0)]),
        ("Sqrt", [np.float32(-1)]),
        ("Gather", [np.arange(3), np.array(3)]),
        ("Reshape", [np.arange(3), np.array([2, 2])]),
        ("Concat", [np.arange(3), np.zeros((1, 3), np.int64)]),
        ("ConstantOfShape", [np.array([10**6, 10**6])]),
        ("ConstantOfShape", [np.array([-1])]),
        ("Expand", [np.arange(3), np.array([2])]),
        ("Squeeze", [np.arange(3), np.array([0])]),
        ("Range", [np.array(0), np.array(5), np.array(0)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_computed_is_left_out(op: str, inputs: list[np.ndarray]) -> None:
    attrs = {"axis": 0} if op == "Concat" else {}
    assert value_of(op, *inputs, **attrs) is None


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [({}, [2, 3, 4]), ({"start": 1}, [3, 4]), ({"start": -1}, [4]), ({"end": 1}, [2]),
     ({"start": 0, "end": -1}, [2, 3]), ({"start": 5}, [])],
)  # fmt: skip
def test_shape_with_bounds(attrs: dict[str, int], expected: list[int]) -> None:
    np.testing.assert_array_equal(value_of("Shape", np.zeros((2, 3, 4)), **attrs), expected)


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [({"value_int": 3}, np.array(3)), ({"value_ints": [1, 2]}, np.array([1, 2])),
     ({"value_float": 0.5}, np.float32(0.5)), ({"value_floats": [0.5]}, np.float32([0.5])),
     ({"value": numpy_helper.from_array(np.array([4]))}, np.array([4]))],
    ids=str,
)  # fmt: skip
def test_constants_in_every_form(attrs: dict[str, Any], expected: np.ndarray) -> None:
    computed = value_of("Constant", **attrs)
    assert computed is not None
    assert computed.dtype == expected.dtype
    np.testing.assert_array_equal(computed, expected)


def test_axes_as_attributes_before_opset_13() -> None:
    assert value_of("Unsqueeze", A, opset=11, axes=[0]).shape == (1, 2, 3)
    assert value_of("Squeeze", A[None], opset=11, axes=[0]).shape == (2, 3)
    assert value_of("Squeeze", A[None], opset=11).shape == (2, 3)
    assert value_of("ReduceSum", A, opset=11, axes=[1], keepdims=0).tolist() == [4, 5]
