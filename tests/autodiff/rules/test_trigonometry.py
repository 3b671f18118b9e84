"""Circular and hyperbolic functions."""

from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case

SHAPE = (2, 3, 4)
RANGES = {
    "Sin": (-3.0, 3.0),
    "Cos": (-3.0, 3.0),
    "Tan": (-1.2, 1.2),
    "Sinh": (-2.0, 2.0),
    "Cosh": (-2.0, 2.0),
    "Asin": (-0.9, 0.9),
    "Acos": (-0.9, 0.9),
    "Atan": (-3.0, 3.0),
    "Asinh": (-3.0, 3.0),
    "Acosh": (1.2, 4.0),
    "Atanh": (-0.9, 0.9),
}

CASES = [
    case(op, SHAPE, low=low, high=high, opset=opset)
    for op, (low, high) in RANGES.items()
    for opset in (11, NEWEST)
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
