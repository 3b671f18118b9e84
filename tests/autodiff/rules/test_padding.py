"""Padding of every mode."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case

SHAPE = (2, 3, 4)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


CASES = [
    case("Pad", SHAPE, ints(0, 1, 0, 0, 0, 2), dynamic=((0,), (0, 1, 2))),
    case("Pad", SHAPE, ints(0, 1, 2, 0, 1, 0), np.array(0.5), opset=11),
    case("Pad", SHAPE, ints(0, -1, 2, 0, 1, -1), np.array(0.5), opset=13, runtime=True),
    case("Pad", SHAPE, ints(2, 1, 1, 0), None, ints(1, -1), opset=NEWEST),
    case("Pad", SHAPE, ints(1, 0, 0, 1, 0, 0), dynamic=()),
    *(
        case("Pad", (2, 5, 4), ints(0, amount, 0, 0, 2, 3), mode=mode, opset=opset)
        for mode, opset in (("reflect", 11), ("edge", 13), ("reflect", 18), ("wrap", 19))
        for amount in (0, 3)
    ),
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
