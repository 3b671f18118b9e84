"""Arithmetic with broadcasting."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case

SHAPE = (2, 3, 4)
MASK = np.arange(24).reshape(SHAPE) % 3 == 0

BROADCAST = [
    case(op, *shapes, wrt=wrt, low=0.5, high=2.5, dynamic=dynamic, opset=opset)
    for op in ("Add", "Sub", "Mul", "Div")
    for shapes, wrt, dynamic, opset in (
        ((SHAPE, SHAPE), 0, ((0,), (0, 1, 2)), 11),
        ((SHAPE, SHAPE), 1, ((0,), (0, 1, 2)), NEWEST),
        ((SHAPE, (3, 1)), 0, ((0,),), 18),
        ((SHAPE, (3, 1)), 1, (), 18),
        (((3, 1), SHAPE), 0, (), 13),
        ((SHAPE, ()), 1, (), 18),
        ((SHAPE, (1, 1, 1, 1)), 0, ((0,),), 18),
        (((2, 1, 4), (2, 3, 1)), 0, ((0,),), 18),
        (((2, 1, 4), (2, 3, 1)), 1, ((0,),), 18),
    )
]
SEVERAL = [
    case(op, *shapes, wrt=wrt, opset=opset, dynamic=())
    for op in ("Sum", "Mean", "Max", "Min")
    for shapes, wrt, opset in (
        ((SHAPE,), 0, 13),
        ((SHAPE, SHAPE), 1, 11),
        ((SHAPE, (3, 1), (4,)), 0, 18),
        ((SHAPE, (3, 1), (4,)), 1, 18),
        ((SHAPE, (3, 1), (4,)), 2, NEWEST),
    )
]
POWERS = [
    case("Pow", SHAPE, np.array(2.0), dynamic=((0,), (0, 1, 2))),
    case("Pow", SHAPE, np.array(3.0)),
    case("Pow", SHAPE, np.array([1.0, 2.0, 3.0, 0.0])),
    case("Pow", SHAPE, np.array(3, dtype=np.int64)),
    case("Pow", SHAPE, np.array(0.5), low=0.3),
    case("Pow", SHAPE, np.array(-1.5), low=0.3, opset=13),
    case("Pow", SHAPE, (4,), low=0.3),
    case("Pow", SHAPE, (4,), low=0.3, wrt=1, dynamic=()),
    case("Pow", np.array(2.0), SHAPE, wrt=1),
]
OTHERS = [
    case("Where", Fed(MASK), SHAPE, SHAPE, wrt=1, opset=11),
    case("Where", Fed(MASK), SHAPE, SHAPE, wrt=2, opset=NEWEST),
    case("Where", MASK, (3, 1), SHAPE, wrt=1, dynamic=()),
    case("Where", MASK, SHAPE, np.array(0.0), wrt=1, dynamic=()),
    case("Mod", SHAPE, np.array(0.7), fmod=1),
]

CASES = [*BROADCAST, *SEVERAL, *POWERS, *OTHERS]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
