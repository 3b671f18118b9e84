"""Blocks picked and placed by index."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import Case, Fed, case
from autodiff.rules.test_scatter import REDUCTIONS, SHAPE, ints

GATHER_ND = [
    case("GatherND", SHAPE, ints([[0, 1], [1, 3], [0, 1]]), opset=opset, dynamic=dynamic)
    for opset, dynamic in ((11, ()), (16, ((2,),)))
] + [
    case("GatherND", SHAPE, Fed(ints([[[1, 4, 0]], [[0, 0, -1]]])), opset=18, dynamic=((1, 2),)),
    case("GatherND", SHAPE, Fed(ints([[1], [4]])), batch_dims=1, opset=13, dynamic=((0,),)),
    case("GatherND", SHAPE, ints([[[1, 0], [1, 0]], [[4, 3], [-1, 2]]]), batch_dims=1, dynamic=()),
    case(
        "GatherND", (2, 3, 4, 2), ints(np.arange(6).reshape(2, 3, 1) % 4), batch_dims=2, dynamic=()
    ),
]
POINTS = ints([[0, 1], [1, 3], [0, 4]])
SCATTER_ND = [
    case("ScatterND", SHAPE, POINTS, (3, 4), wrt=wrt, opset=opset, dynamic=(), **attrs)
    for wrt in (0, 2)
    for opset, attrs in REDUCTIONS
] + [
    case("ScatterND", SHAPE, Fed(ints(index)), updates, wrt=wrt, dynamic=dynamic, **attrs)
    for wrt in (0, 2)
    for index, updates, attrs, dynamic in (
        ([[[1, 4, 0]], [[0, 0, -3]]], (2, 1), {}, ()),
        ([[1, 2], [1, 2], [0, 0]], (3, 4), {"reduction": "mul"}, ()),
        ([[1], [0]], SHAPE, {}, ((1, 2),)),
        ([[1], [1]], SHAPE, {"reduction": "add"}, ((1,),)),
    )
]

CACHES = [
    case("TensorScatter", SHAPE, update, *first, wrt=wrt, opset=24, dynamic=dynamic, **attrs)
    for wrt in (0, 1)
    for update, first, attrs, dynamic in (
        ((2, 3, 4), (), {}, ((0,),)),
        ((2, 2, 4), (ints([3, 1]),), {}, ()),
        ((2, 3, 4), (Fed(ints([4, 0])),), {"mode": "circular"}, ((2,),)),
        ((2, 5, 2), (ints([1, 2]),), {"axis": 2}, ((1,),)),
    )
]
CASES = [*GATHER_ND, *SCATTER_ND, *CACHES]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
