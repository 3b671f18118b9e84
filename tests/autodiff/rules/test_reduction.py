"""Reductions; the axes are an attribute or an input, as the opset has it."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case

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
SIZES = [
    case("ReduceMean", (2, 3, 4, 5), np.array([2, 3]), dynamic=((0, 2, 3),)),
    case("ReduceSum", (2, 3, 4, 5), np.array([1, 3]), keepdims=0, dynamic=((0, 2, 3),)),
    case("ReduceMax", (2, 3, 4, 5), np.array([2, 3]), keepdims=0, dynamic=((0, 2, 3),)),
    case("ReduceProd", (2, 3, 2, 2), np.array([2, 3]), dynamic=((0, 2, 3),)),
]
CUMULATIVE = [
    case("CumSum", SHAPE, np.array(axis), exclusive=exclusive, reverse=reverse, opset=opset)
    for axis, exclusive, reverse, opset in (
        (1, 0, 0, 11),
        (-1, 1, 0, 14),
        (2, 0, 1, 18),
        (-2, 1, 1, NEWEST),
    )
]

CASES = [*FORMS, *EMPTY, *SIZES, *CUMULATIVE]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
