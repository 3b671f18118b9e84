"""Convolutions are linear: with whole numbers as weights their transposes are checked exactly."""

from itertools import product

import numpy as np
import pytest
from autodiff.checks import check_linear, checks
from autodiff.numeric import NEWEST, Case, case


def whole(*shape: int) -> np.ndarray:
    """Whole numbers as weights."""
    return np.random.default_rng(len(shape)).integers(-3, 4, shape).astype(float)


def padding(kind: str, rank: int) -> dict[str, object]:
    if kind.isupper():
        return {"auto_pad": kind}
    pads = {"none": [0, 0], "same": [1, 1], "begin": [2, 0], "end": [0, 1], "wide": [3, 4]}[kind]
    return {"pads": [pads[0]] * rank + [pads[1]] * rank}


PADDINGS = ["none", "same", "begin", "end", "wide", "SAME_UPPER", "SAME_LOWER", "VALID"]
GROUPS = [(1, 2, 3), (2, 4, 6), (3, 3, 3), (2, 2, 4)]
"""Groups, channels in, channels out: dense, grouped, depthwise, depthwise with multiplier."""


def convolution(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: int,
    dilation: int,
    groups: tuple[int, int, int],
    pad: str,
) -> Case:
    rank = len(size)
    group, c_in, c_out = groups
    return case(
        "Conv",
        (1, c_in, *size),
        whole(c_out, c_in // group, *kernel),
        group=group,
        strides=[stride] * rank,
        dilations=[dilation] * rank,
        **padding(pad, rank),
    )


SIZES = [(9, 10), (10, 9), (11, 14), (12, 11)]
SWEEP = [
    convolution(SIZES[(n + kernel + stride) % 4], (kernel, kernel), stride, dilation, groups, pad)
    for n, (kernel, stride, dilation, pad) in enumerate(
        product((1, 2, 3, 4, 5), (1, 2, 3), (1, 2), PADDINGS)
    )
    for groups in (GROUPS[n % 4], GROUPS[(n + n // 4 + 1) % 4])[: 1 + (stride > 1)]
    if dilation == 1 or not pad.startswith("SAME")  # which ONNX Runtime refuses to run
]
REMAINDERS = [convolution((14, 15), (3, 3), 2, 1, groups, "end") for groups in GROUPS] + [
    convolution((14, 13), (2, 3), 3, 1, groups, "none") for groups in GROUPS
]
OTHER_RANKS = [
    convolution(size, kernel, stride, 1, groups, pad)
    for size, kernel in (((11,), (3,)), ((4, 5, 6), (2, 3, 2)))
    for stride in (1, 2)
    for groups in GROUPS
    for pad in ("same", "SAME_UPPER")
]


@pytest.mark.parametrize("each", [*SWEEP, *REMAINDERS, *OTHER_RANKS], ids=str)
def test_convolution_is_transposed(each: Case) -> None:
    check_linear(each)


@pytest.mark.parametrize("each", [*SWEEP[::3], *REMAINDERS, *OTHER_RANKS], ids=str)
def test_convolution_of_unknown_size_is_transposed(each: Case) -> None:
    check_linear(each, (0, *range(2, len(each.inputs[0]))))


TRANSPOSED = [
    case(
        "ConvTranspose",
        (1, c_in, *size),
        whole(c_in, c_out // group, *kernel),
        group=group,
        strides=[stride] * len(size),
        dilations=[dilation] * len(size),
        **attrs,
    )
    for size, kernel in (((5, 6), (3, 3)), ((6, 5), (2, 4)), ((7,), (3,)), ((3, 4, 3), (2, 3, 2)))
    for stride, dilation in ((1, 1), (2, 1), (3, 1), (2, 2), (1, 2))
    for group, c_in, c_out in ((1, 2, 3), (2, 4, 6), (3, 3, 3))
    for attrs in (
        {},
        {"pads": [1] * 2 * len(size)},
        {"pads": [0] * len(size) + [1] * len(size)},
        {"output_padding": [min(stride, 2) - 1] * len(size)},
        {"auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
    )
    if not (attrs.get("auto_pad") and dilation > 1)
]
SHAPED = [
    case(
        "ConvTranspose",
        (1, 2, 5, 6),
        whole(2, 3, 3, 3),
        strides=[2, 2],
        output_shape=output,
        **attrs,
    )
    for output in ([11, 13], [10, 12], [9, 11], [8, 10])
    for attrs in ({}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"})
]


@pytest.mark.parametrize("each", [*TRANSPOSED, *SHAPED], ids=str)
def test_transposed_convolution_is_transposed(each: Case) -> None:
    check_linear(each)


@pytest.mark.parametrize(
    "each", [each for each in TRANSPOSED if "auto_pad" not in each.attrs], ids=str
)
def test_transposed_convolution_of_unknown_size_is_transposed(each: Case) -> None:
    check_linear(each, (0, *range(2, len(each.inputs[0]))))


IMAGE = (2, 4, 6, 7)
CASES = [
    case(
        op,
        IMAGE,
        whole(*weight),
        *bias,
        opset=opset,
        dynamic=((0,), (0, 2, 3)),
        runtime=True,
        **attrs,
    )
    for op, weight, bias, opset, attrs in (
        ("Conv", (3, 4, 3, 3), (whole(3),), 11, {"pads": [1, 1, 1, 1]}),
        ("Conv", (3, 4, 3, 3), (whole(3),), 18, {"strides": [2, 2], "pads": [0, 0, 1, 1]}),
        ("Conv", (4, 1, 3, 3), (), NEWEST, {"strides": [2, 2], "group": 4}),
        ("Conv", (8, 1, 3, 3), (), 13, {"group": 4, "pads": [1, 1, 1, 1]}),
        ("Conv", (3, 4, 3, 3), (), 18, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ("ConvTranspose", (4, 3, 3, 3), (whole(3),), 11, {"strides": [2, 2]}),
        ("ConvTranspose", (4, 1, 2, 2), (), NEWEST, {"strides": [2, 2], "group": 4}),
    )
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
