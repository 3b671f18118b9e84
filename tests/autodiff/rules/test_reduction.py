"""Reductions; the axes are an attribute or an input, as the opset has it."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

SHAPE = (2, 3, 4)
REDUCTIONS = [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSumExp",
    "ReduceLogSum",
    "ReduceProd",
]


def reduction(op: str, axes: list[int] | None, opset: int, **attrs: int) -> Case:
    """Over some axes, in the form that the opset knows."""
    low = 0.4 if op in ("ReduceLogSum", "ReduceProd") else -2.0
    if axes is None:
        return case(op, SHAPE, opset=opset, low=low, **attrs)
    if opset >= (13 if op == "ReduceSum" else 18):
        return case(op, SHAPE, np.array(axes), opset=opset, low=low, **attrs)
    return case(op, SHAPE, opset=opset, low=low, axes=axes, **attrs)


FORMS = [
    reduction(op, axes, opset, keepdims=keepdims)
    for op in REDUCTIONS
    for axes, opset, keepdims in (
        ([-1], 11, 1),
        ([1, 2], 13, 0),
        ([2], 17, 1),
        ([1], 18, 0),
        ([-1, 1], NEWEST, 1),
        ([0, 2], 18, 0),
        (None, 13, 0),
        (None, 18, 1),
    )
]
EMPTY = [
    case("ReduceSum", SHAPE, noop_with_empty_axes=1),
    case("ReduceMean", SHAPE, noop_with_empty_axes=1),
    case("ReduceSum", SHAPE, np.array([], dtype=np.int64), opset=13),
]
AXES_OF_THE_RUN = [
    case(op, SHAPE, Fed(np.array(axes)), opset=opset, low=low, dynamic=((0,), (0, 1, 2)), **attrs)
    for op, axes, opset, low, attrs in (
        ("ReduceSum", [1], 13, -2.0, {}),
        ("ReduceMean", [-1, 0], 18, -2.0, {}),
        ("ReduceMax", [2, 1], NEWEST, -2.0, {}),
        ("ReduceL2", [1], 18, -2.0, {}),
        ("ReduceLogSumExp", [0], 18, -2.0, {}),
        ("ReduceProd", [-2], 18, 0.4, {}),
        ("ReduceSum", np.zeros(0, np.int64), 18, -2.0, {"noop_with_empty_axes": 1}),
    )
]
SIZES = [
    case("ReduceMean", (2, 3, 4, 5), np.array([2, 3]), dynamic=((0, 2, 3),)),
    case("ReduceSum", (2, 3, 4, 5), np.array([1, 3]), keepdims=0, dynamic=((0, 2, 3),)),
    case("ReduceMax", (2, 3, 4, 5), np.array([2, 3]), keepdims=0, dynamic=((0, 2, 3),)),
    case("ReduceProd", (2, 3, 2, 2), np.array([2, 3]), dynamic=((0, 2, 3),)),
]
CASES = [*FORMS, *EMPTY, *AXES_OF_THE_RUN, *SIZES]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
