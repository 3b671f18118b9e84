"""Resizing, in the coordinates that each opset knows."""

import numpy as np
import pytest
from autodiff.checks import check_linear, checks
from autodiff.numeric import NEWEST, Case, case, model_of

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

SHAPE = (2, 2, 4, 5)
WHOLE = "asymmetric"
UNITS = 2 * 4 * 5
"""The batch in which a linear operator's matrix is read off: one unit an input value."""


def resized(shape: tuple[int, ...], by: list[float], opset: int = 18, **attrs: object) -> Case:
    """By scales."""
    region = np.zeros(0, np.float32) if opset < 13 else None
    scales = np.array(by, np.float32)
    return case("Resize", shape, region, scales, opset=opset, runtime=True, **attrs)


def fitted(shape: tuple[int, ...], to: list[int], opset: int = 18, **attrs: object) -> Case:
    """To sizes."""
    sizes = np.array(to, dtype=np.int64)
    return case("Resize", shape, None, None, sizes, opset=opset, runtime=True, **attrs)


MODES = [
    {"mode": "nearest", "coordinate_transformation_mode": WHOLE, "nearest_mode": "floor"},
    {"mode": "nearest"},
    {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": WHOLE},
    {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    {"mode": "linear"},
    {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    {"mode": "linear", "coordinate_transformation_mode": WHOLE},
    {"mode": "cubic"},
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]
LINEAR = [
    make(SHAPE, amounts, opset=opset, **mode)
    for mode in MODES
    for make, amounts, opset in (
        (resized, [1, 1, 2, 2], 11),
        (resized, [1, 1, 0.6, 1.5], 13),
        (resized, [1, 1, 1.1, 1], 18),
        (fitted, [UNITS, 2, 7, 3], 13),
        (fitted, [UNITS, 2, 8, 10], NEWEST),
    )
] + [
    resized((2, 2, 4, 5), [1, 1, 0.5, 0.5], mode="linear", antialias=1),
    resized(SHAPE, [2, 3], mode="linear", axes=[2, 3]),
    fitted(SHAPE, [6, 3], mode="linear", axes=[3, 2]),
    resized((2, 2, 5), [1, 1, 2], mode="linear"),
    resized((1, 1, 3, 2, 3), [1, 1, 2, 2, 1.5], mode="nearest"),
]
CASES = [
    *(
        resized(SHAPE, [1, 1, 2, 2], 13, dynamic=((0,),), **mode)
        for mode in (MODES[0], MODES[4], MODES[8])
    ),
    resized(SHAPE, [1, 1, 2, 3], dynamic=((0,), (0, 2, 3), (2,))),
    resized(SHAPE, [2, 2], NEWEST, axes=[3, 2], dynamic=((0, 2, 3),), **MODES[0]),
    fitted(SHAPE, [7, 3], axes=[2, 3], mode="linear", dynamic=((0,),)),
]


@pytest.mark.parametrize("each", LINEAR, ids=str)
def test_it_is_the_transpose(each: Case) -> None:
    check_linear(each, exact=False)


@pytest.mark.parametrize(
    "refused",
    [
        fitted(SHAPE, [8, 8], axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
        resized(SHAPE, [1, 1, 2, 2], dynamic=((2, 3),), mode="linear"),
        resized(SHAPE, [1, 1, 1.5, 2], dynamic=((2, 3),)),
    ],
    ids=str,
)
def test_what_it_does_not_cover_is_refused(refused: Case) -> None:
    model = model_of(refused, dynamic=refused.dynamic[0])
    with pytest.raises(UnsupportedOperatorError, match="Resize"):
        append_gradients(model, of="y0", wrt=["x0"])


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
