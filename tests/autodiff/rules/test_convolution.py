"""Convolutions by finite differences; `test_matrix` goes through their windows exactly."""

import numpy as np
import pytest
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case, model_of

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients


def whole(*shape: int) -> np.ndarray:
    """Whole numbers as weights."""
    return np.random.default_rng(len(shape)).integers(-3, 4, shape).astype(float)


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
WEIGHTS = [
    case(op, x, *([shape if k == wrt else whole(*shape) for k, shape in ((1, w), (2, b))]),
         wrt=wrt, opset=opset, dynamic=(), runtime=True, low=-1.0, high=1.0, **attrs)
    for op, x, w, b, opset, attrs in (
        ("Conv", (2, 2, 5, 6), (3, 2, 3, 2), (3,), 11, {"pads": [1, 0, 2, 1]}),
        ("Conv", (2, 4, 6, 5), (6, 2, 3, 3), (6,), 18, {"group": 2, "strides": [2, 2]}),
        ("Conv", (2, 3, 9), (3, 1, 3), (3,), NEWEST, {"group": 3, "dilations": [2]}),
        ("Conv", (1, 1, 4, 3, 4), (2, 1, 2, 2, 2), (2,), 18, {"auto_pad": "SAME_UPPER"}),
        ("ConvTranspose", (2, 2, 3, 4), (2, 3, 3, 2), (3,), 11, {"strides": [2, 2]}),
        ("ConvTranspose", (2, 4, 3, 4), (4, 1, 3, 3), (2,), NEWEST, {"group": 2, "pads": [1] * 4}),
    )
    for wrt in (1, 2)
]  # fmt: skip
CASES += WEIGHTS


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


# A correlation with what another branch has computed: the template is a weight and an input.
SIAMESE = [
    case("Conv", (1, 4, 6, 7), (4, 1, 3, 2), wrt=wrt, group=4, dynamic=dynamic, runtime=True)
    for wrt, dynamic in ((0, ((2, 3),)), (1, ()))
]


@checks(SIAMESE)
def test_weights_of_the_run(check, case: Case) -> None:
    check(case)


def test_a_kernel_of_unknown_size_is_refused() -> None:
    model = model_of(case("Conv", (1, 2, 6, 7), (3, 2, 3, 3), wrt=1), dynamic=(2, 3))
    with pytest.raises(UnsupportedOperatorError, match="kernel whose size only the run knows"):
        append_gradients(model, of="y0", wrt=["x0"])
