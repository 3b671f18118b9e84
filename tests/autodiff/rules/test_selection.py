"""Gather, by stored indices and by those of the run."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

SHAPE = (2, 5, 4)


def ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


GATHER = (
    [
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
    ]
    + [
        case("Gather", SHAPE, Fed(ints(indices)), axis=axis, opset=opset, dynamic=dynamic)
        for indices, axis, opset, dynamic in (
            (2, 1, 16, ((0,),)),
            ([0, 2, 2], 1, 18, ((0,),)),
            ([[-1, 2], [2, 1]], -1, NEWEST, ((0,), (0, 1))),
            ([1, 0, 0], 0, 18, ()),
            (2, 1, 11, ((0,),)),
            ([0, -1, 2, 2], 1, 13, ((0,), (0, 1))),
            ([[-1, 1], [1, 0]], 0, 15, ((1, 2),)),
        )
    ]
    + [case("Gather", (2, 3000), ints(np.arange(4000) % 13), axis=1, opset=18)]
)
GATHER.append(case("Gather", (5,), ints([0, 4, 4]), opset=13, dynamic=()))
COMPRESS = [
    case("Compress", SHAPE, np.array(kept), opset=opset, dynamic=dynamic, **axis)
    for kept, axis, opset, dynamic in (
        ([True, False, True, True, False], {"axis": 1}, 11, ((0,), (0, 2))),
        ([False, True], {"axis": -1}, NEWEST, ((0,), (0, 1, 2))),
        ([True, False, True, True], {}, 18, ()),
    )
] + [case("Compress", SHAPE, Fed(np.array([True, False])), axis=0, dynamic=((1,),))]

UNIQUE = [
    case("Unique", (6,), dynamic=(), opset=11),
    case("Unique", (3, 2), outputs=2, axis=0, sorted=0, dynamic=(), opset=NEWEST),
    case("Unique", SHAPE, outputs=4, axis=-1, dynamic=()),
]

CASES = [*GATHER, *COMPRESS, *UNIQUE]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
