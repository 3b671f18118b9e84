"""The determinant, of singular matrices too."""

import numpy as np
import pytest
from autodiff.checks import checks
from autodiff.numeric import Case, Fed, case, model_of

from onnxcam.autodiff.rules.determinant import LARGEST
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

RANK_TWO = np.outer([1.0, -0.5, 2.0], [0.3, 1.1, -0.7]) + np.outer([0.2, 1.5, -1], [1, 0.4, 0.9])

CASES = [
    case("Det", (2, 3, 3), opset=11),
    case("Det", (4, 4), opset=22, dynamic=()),
    case("Det", (2, 3, 2, 2), dynamic=((0,), (0, 1))),
    case("Det", (3, 1, 1)),
    case("Det", (2, 6, 6), low=-1.0, high=1.0),
    case("Det", Fed(RANK_TWO), dynamic=()),
    case("Det", Fed(np.diag([0.0, 0.0, 2.0])), dynamic=()),
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


def test_large_matrices_are_refused() -> None:
    model = model_of(case("Det", (LARGEST + 1, LARGEST + 1)))
    with pytest.raises(UnsupportedOperatorError, match="Det"):
        append_gradients(model, of="y0", wrt=["x0"])
