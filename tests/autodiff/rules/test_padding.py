"""Padding of every mode."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

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
    *(
        case("Pad", (2, 5, 4), ints(0, 3, 1, 0, 2, 3), mode=mode, opset=opset, dynamic=dynamic)
        for mode, opset, dynamic in (
            ("reflect", 11, ((0, 1, 2),)),
            ("edge", 13, ((1,),)),
            ("wrap", 19, ((2,),)),
        )
    ),
    # Amounts of the run, and the constant.
    case("Pad", SHAPE, Fed(ints(0, 1, 2, 0, 0, 3)), opset=11, dynamic=((0,), (0, 1, 2))),
    case("Pad", SHAPE, Fed(ints(1, -1, 2, 0)), None, ints(-1, 1), runtime=True),
    case("Pad", SHAPE, Fed(ints(0, 1, 2, 0, 0, 1)), mode="reflect", opset=13),
    case("Pad", SHAPE, Fed(ints(3, 1)), None, ints(1), mode="edge", dynamic=((0,), (0, 1))),
    case("Pad", SHAPE, ints(0, 1, 2, 0, 1, 0), (), wrt=2, dynamic=()),
    case("Pad", SHAPE, Fed(ints(0, 0, 1, 0, 1, 2)), (), wrt=2, opset=NEWEST, dynamic=()),
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
