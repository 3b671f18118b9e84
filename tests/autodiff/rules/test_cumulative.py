"""Running sums and products, along an axis that the file stores or the run feeds."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case, spread_values

SHAPE = (2, 3, 4)
FORMS = ((1, 0, 0), (-1, 1, 0), (2, 0, 1), (-2, 1, 1))


def with_zeros(*places: tuple[int, int, int]) -> Fed:
    values = spread_values(SHAPE, -2.0, 2.0, 5)
    for place in places:
        values[place] = 0
    return Fed(values)


SUMS = [
    case("CumSum", SHAPE, np.array(axis), exclusive=exclusive, reverse=reverse, opset=opset)
    for (axis, exclusive, reverse), opset in zip(FORMS, (11, 14, 18, NEWEST), strict=True)
] + [
    case("CumSum", SHAPE, Fed(np.array(axis)), exclusive=1, opset=opset, dynamic=((0,), (0, 1)))
    for axis, opset in ((1, 11), (-1, 14))
]
PRODUCTS = [
    case("CumProd", x, np.array(axis), exclusive=exclusive, reverse=reverse, opset=NEWEST)
    for x in (SHAPE, with_zeros((0, 1, 2), (0, 1, 3), (1, 0, 0), (1, 2, 3), (1, 2, 0)))
    for axis, exclusive, reverse in FORMS
] + [case("CumProd", SHAPE, Fed(np.array(1)), opset=NEWEST, dynamic=((0,), (0, 1)))]

CASES = [*SUMS, *PRODUCTS]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
