"""Tensors filled from a few numbers."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

START, LIMIT, DELTA = (Fed(np.array(value)) for value in (-0.4, 2.1, 0.7))

RANGE = [
    case("Range", START, LIMIT, DELTA, wrt=wrt, opset=opset, dynamic=())
    for wrt, opset in ((0, 11), (2, NEWEST))
]
ONE_HOT = [
    case("OneHot", index, np.array(4), (2,), wrt=2, opset=opset, dynamic=(), **axis)
    for index, axis, opset in (
        (np.array([[0, 3, 1], [-1, 2, 2]]), {}, 11),
        (Fed(np.array([1, -4, 9])), {"axis": 0}, NEWEST),
    )
]

CASES = [*RANGE, *ONE_HOT]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
