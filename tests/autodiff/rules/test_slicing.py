"""Slices, with bounds that the file stores and with those of the run."""

import numpy as np
import pytest
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case, model_of

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

SHAPE = (2, 3, 4)
IMAGE = (2, 4, 3, 3)
END = 2**62


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


SLICE = [
    case("Slice", SHAPE, ints(1), ints(3), ints(2), opset=11, dynamic=((0,), (0, 1, 2))),
    case("Slice", SHAPE, ints(0, 1), ints(1, 3), dynamic=()),
    case("Slice", SHAPE, ints(0), ints(9), ints(1)),
    case("Slice", SHAPE, ints(-2), ints(9), ints(-1), opset=13),
    case("Slice", SHAPE, ints(0), ints(9), ints(2), ints(2)),
    case("Slice", (2, 3, 7), ints(1), ints(6), ints(2), ints(3), opset=NEWEST),
    case("Slice", (2, 3, 7), ints(-1), ints(-9), ints(2), ints(-1)),
    case("Slice", (2, 3, 7), ints(5), ints(0), ints(2), ints(-2)),
    case("Slice", (2, 7, 6), ints(1, 5), ints(9, 1), ints(1, 2), ints(2, -3)),
    case("Slice", IMAGE, ints(0, 1), ints(2, END), ints(2, 3), dynamic=((0,), (0, 2, 3))),
    case("Slice", SHAPE, ints(0), ints(1), ints(0), dynamic=()),
    # From the end, or in steps, of a length that varies.
    case("Slice", SHAPE, ints(-2), ints(END), ints(1), opset=11, dynamic=((1,), (0, 1, 2))),
    case("Slice", (2, 3, 7), ints(-1), ints(-END), ints(2), ints(-2), dynamic=((2,), (0, 1, 2))),
    case(
        "Slice", (2, 7, 6), ints(1, -1), ints(END, -END), ints(1, 2), ints(2, -3), dynamic=((1, 2),)
    ),
]
FED = [
    case(
        "Slice",
        (2, 7, 3),
        Fed(ints(start)),
        Fed(ints(stop)),
        ints(1),
        ints(step),
        opset=opset,
        dynamic=((0,), (0, 1)),
    )
    for start, stop, step, opset in (
        (2, 9, 1, 11),
        (-5, -1, 2, 13),
        (6, 0, -2, 18),
        (20, 30, 1, NEWEST),
    )
] + [
    case("Slice", (2, 7, 3), ints(1), Fed(ints(6)), ints(1), ints(3), dynamic=()),
    case("Slice", (2, 7, 3), ints(2), Fed(ints(9)), ints(-2)),
    case("Slice", (3, 7), Fed(ints(1, 0)), Fed(ints(-1, 5)), dynamic=((0, 1),)),
    case("Slice", (2, 7), Fed(ints(6)), Fed(ints(-9)), ints(1), Fed(ints(-3))),
    case(
        "Slice", (2, 7), *(Fed(ints(k).astype(np.int32)) for k in (1, 6)), ints(1).astype(np.int32)
    ),
]
CASES = [*SLICE, *FED]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


def test_axes_of_the_run_are_refused() -> None:
    fed = case("Slice", SHAPE, ints(1), ints(2), Fed(ints(1)))
    with pytest.raises(UnsupportedOperatorError, match="axes at run time"):
        append_gradients(model_of(fed), of="y0", wrt=["x0"])
