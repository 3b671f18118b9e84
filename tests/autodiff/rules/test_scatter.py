"""Single values picked and placed by index."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

SHAPE = (2, 5, 4)


def ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


PICKED = ints([[[0, 2, 1, 0], [4, 2, 1, 3]], [[1, 1, 1, 0], [3, 4, 0, 2]]])

ELEMENTS = [
    case("GatherElements", SHAPE, PICKED, axis=1, opset=16),
    case("GatherElements", SHAPE, Fed(PICKED % 4), axis=-1, opset=NEWEST, dynamic=(), runtime=True),
    case("GatherND", SHAPE, ints([[0, 1], [1, 3], [0, 1]]), opset=16, dynamic=()),
    case("GatherND", SHAPE, Fed(ints([[[1, 4, 0]], [[0, 0, 3]]])), opset=18, dynamic=()),
]
TOP = [
    case("TopK", SHAPE, ints([2]), outputs=2, opset=11),
    case("TopK", SHAPE, ints([3]), outputs=2, axis=1, largest=0, dynamic=((0,), (0, 2))),
    case("TopK", SHAPE, ints([1]), outputs=2, axis=0, opset=NEWEST, dynamic=()),
]
PLACED = ints([[[0, 2, 1, 3], [4, 0, 2, 1]], [[1, 1, 0, 0], [3, 4, 4, 2]]])
SCATTER = [
    case("ScatterElements", SHAPE, PLACED, (2, 2, 4), axis=1, wrt=wrt, opset=opset, **attrs)
    for wrt in (0, 2)
    for opset, attrs in ((11, {}), (18, {"reduction": "none"}), (NEWEST, {"reduction": "add"}))
]
POINTS = ints([[0, 1], [1, 3], [0, 4]])
SCATTER_ND = [
    case("ScatterND", SHAPE, POINTS, (3, 4), wrt=wrt, opset=opset, dynamic=(), **attrs)
    for wrt in (0, 2)
    for opset, attrs in ((11, {}), (18, {"reduction": "none"}), (NEWEST, {"reduction": "add"}))
] + [
    case("ScatterND", SHAPE, Fed(ints([[[1, 4, 0]], [[0, 0, 3]]])), (2, 1), wrt=wrt, dynamic=())
    for wrt in (0, 2)
]

CASES = [*ELEMENTS, *TOP, *SCATTER, *SCATTER_ND]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
