"""Attention as one operator."""

import numpy as np
import pytest
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case, model_of

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

HEADS = (2, 2, 3, 4)
KEYS = (2, 2, 5, 4)
VALUES = (2, 2, 5, 3)
MASK = np.where(np.arange(15).reshape(3, 5) % 4 == 0, -2.0, 0.3)

CASES = [
    case("Attention", HEADS, KEYS, VALUES, *mask, wrt=wrt, opset=opset, dynamic=dynamic, **attrs)
    for mask, opset, dynamic, attrs in (
        ((), 23, ((0,), (0, 2)), {}),
        ((MASK,), 24, ((0,),), {"scale": 0.3}),
        ((MASK > 0,), 23, ((0,),), {}),
        ((), NEWEST, ((0,),), {"is_causal": 1}),
    )
    for wrt in (0, 1, 2)
] + [
    case(
        "Attention",
        (2, 3, 8),
        (2, 5, 8),
        (2, 5, 6),
        wrt=wrt,
        opset=23,
        q_num_heads=2,
        kv_num_heads=2,
        dynamic=((0,), (0, 1)),
    )
    for wrt in (0, 1, 2)
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    "refused",
    [
        case("Attention", HEADS, KEYS, VALUES, opset=23, softcap=5.0),
        case("Attention", (2, 4, 3, 4), KEYS, VALUES, opset=23),
    ],
    ids=str,
)
def test_what_it_does_not_cover_is_refused(refused: Case) -> None:
    with pytest.raises(UnsupportedOperatorError, match="Attention"):
        append_gradients(model_of(refused), of="y0", wrt=["x0"])
