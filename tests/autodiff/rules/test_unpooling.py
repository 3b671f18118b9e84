"""Values put at computed positions: unpooled, and blocks added up to an image."""

import numpy as np
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


CORNERS = np.array([[[[5, 7], [12, 15]]], [[[16, 19], [24, 31]]]], dtype=np.int64)
TWO_AT_ONE = np.array([[[[5, 5], [12, 15]]], [[[16, 19], [24, 5]]]], dtype=np.int64)
WINDOW = {"kernel_shape": [2, 2], "strides": [2, 2]}
UNPOOL = [
    case("MaxUnpool", (2, 1, 2, 2), CORNERS, opset=11, **WINDOW),
    case("MaxUnpool", (2, 1, 2, 2), TWO_AT_ONE, opset=22, **WINDOW),
    case(
        "MaxUnpool",
        (1, 1, 2, 2),
        CORNERS[:1],
        ints(1, 1, 5, 5),
        opset=NEWEST,
        runtime=True,  # which counts indices in the given shape
        dynamic=(),
        **WINDOW,
    ),
]
BLOCKS = [
    case("Col2Im", (2, 12, 4), ints(3, 3), ints(2, 2)),
    case("Col2Im", (2, 4, 10), ints(5, 4), ints(1, 4), pads=[0, 1, 0, 2], strides=[1, 2]),
    case("Col2Im", (2, 12, 4), ints(5, 8), ints(3, 2), strides=[2, 3], dilations=[1, 3]),
    case("Col2Im", (1, 8, 5), ints(8), ints(4), opset=NEWEST),
    case("Col2Im", (1, 16, 4), ints(3, 2, 3), ints(2, 2, 2), dynamic=((0,), (0, 1))),
    case("Col2Im", (2, 8, 6), Fed(ints(4, 3)), ints(2, 2), opset=19, dynamic=((0,), (0, 2))),
]

CASES = [*UNPOOL, *BLOCKS]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
