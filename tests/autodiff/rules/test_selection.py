"""Gather, by stored indices and by those of the run."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

SHAPE = (2, 5, 4)


def ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


GATHER = [
    case("Gather", SHAPE, ints(indices), axis=axis, opset=opset, dynamic=dynamic)
    for indices, axis, opset, dynamic in (
        (0, 1, 11, ((0,),)),
        (-1, 1, 13, ((0,),)),
        ([3], 1, 18, ((0,),)),
        ([1, 2, 3], 1, 18, ((0,),)),
        ([0, 2, 4], 1, 18, ((0,),)),
        ([1, 3], -1, 18, ((0,), (0, 1))),
        ([3, 0, 1], 2, 18, ((0,),)),
        ([4, 3, 2, 1, 0], 1, NEWEST, ((0,),)),
        ([1, 1, 3], 1, 18, ((0,),)),
        ([0, 0, 0, 4], 1, 11, ((0,),)),
        ([[0, 1], [2, 1]], 1, 18, ((0,),)),
        ([[0, 1], [2, 3]], 2, 13, ((0,),)),
        (1, 0, 18, ()),
        ([-1, 0], 0, 18, ()),
    )
] + [
    case("Gather", SHAPE, Fed(ints(indices)), axis=axis, opset=opset, dynamic=dynamic)
    for indices, axis, opset, dynamic in (
        (2, 1, 16, ((0,),)),
        ([0, 2, 2], 1, 18, ((0,),)),
        ([[-1, 2], [2, 1]], -1, NEWEST, ((0,), (0, 1))),
        ([1, 0, 0], 0, 18, ()),
    )
]

CASES = GATHER


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
