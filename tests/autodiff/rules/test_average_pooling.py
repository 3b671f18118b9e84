"""Average and norm pooling; `test_matrix` goes through the windows exactly."""

from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case

WINDOWS = [
    ((6, 4), [2, 2], {"strides": [2, 2]}),
    ((5, 7), [2, 3], {"strides": [2, 2], "ceil_mode": 1}),
    ((6, 6), [3, 3], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ((6, 7), [3, 3], {"strides": [2, 2], "pads": [0, 0, 1, 1]}),
    ((7, 7), [3, 3], {"strides": [2, 2], "pads": [1, 0, 0, 1], "ceil_mode": 1}),
    ((7, 8), [2, 2], {"strides": [3, 4]}),
    ((7, 6), [3, 3], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ((7, 6), [3, 2], {"strides": [2, 1], "auto_pad": "SAME_LOWER"}),
    ((4, 4), [4, 4], {}),
    ((3, 4), [4, 4], {"pads": [1, 0, 1, 0]}),
    ((4, 4), [5, 5], {"ceil_mode": 1, "strides": [2, 2]}),
    ((8,), [3], {"strides": [2]}),
    ((4, 3, 4), [3, 2, 2], {"pads": [1, 0, 0, 1, 1, 0]}),
    ((7, 9), [2, 3], {"dilations": [2, 3], "pads": [1, 2, 0, 2]}),
]


def average(size: tuple[int, ...], kernel: list[int], include: int, attrs: dict) -> Case:
    return case(
        "AveragePool",
        (2, 1, *size),
        kernel_shape=kernel,
        count_include_pad=include,
        opset=19 if "dilations" in attrs else 18,
        runtime=True,
        dynamic=((0,), (0, *range(2, 2 + len(size)))),
        **attrs,
    )


SWEEP = [
    average(*window[:2], include, window[2])
    for window in WINDOWS
    for include in ((0, 1) if {"pads", "auto_pad", "ceil_mode"} & set(window[2]) else (0,))
]
CASES = [
    case("GlobalAveragePool", (2, 3, 4, 5), dynamic=((0,), (0, 2, 3))),
    case("GlobalAveragePool", (2, 3, 4), opset=11, dynamic=((0,), (0, 2))),
    case("GlobalAveragePool", (2, 3, 2, 3, 2), opset=NEWEST),
    case("GlobalLpPool", (2, 3, 4, 5), dynamic=((0,), (0, 2, 3)), runtime=True),
    case("GlobalLpPool", (2, 3, 4), p=3, low=0.3, runtime=True),
    case("LpPool", (2, 2, 6, 5), kernel_shape=[2, 3], dynamic=((0,), (0, 2, 3)), runtime=True),
    case("LpPool", (2, 2, 6), kernel_shape=[3], strides=[2], p=3, pads=[1, 0], runtime=True),
    case("AveragePool", (2, 2, 6, 5), kernel_shape=[2, 3], opset=11),
    case("AveragePool", (2, 2, 6, 6), kernel_shape=[3, 3], strides=[3, 3], opset=NEWEST),
    *SWEEP,
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
