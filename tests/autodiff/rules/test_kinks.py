"""Where the derivative jumps: what flows there is chosen as PyTorch chooses it."""

import numpy as np
import pytest
from autodiff.numeric import Case, case, model_of, session_of

from onnxcam.gradients import append_gradients

Values = list[float]


def gradient(each: Case, x: Values) -> np.ndarray:
    """Of the sum of the outputs, at x."""
    model = append_gradients(model_of(each), of="y0", wrt=[each.x])
    feeds = {each.x: np.array(x, dtype=np.float32)}
    (dx,) = session_of(model).run([f"{each.x}_grad"], feeds)
    return dx


def bounded(op: str, **attrs: object) -> Case:
    return case(op, (4,), **attrs)


@pytest.mark.parametrize(
    ("each", "x", "want"),
    [
        (bounded("Relu"), [-1, 0, -0.0, 1], [0, 0, 0, 1]),
        (bounded("LeakyRelu", alpha=0.5), [-1, 0, 1, 2], [0.5, 1, 1, 1]),
        (bounded("Abs"), [-1, 0, 1, 2], [-1, 0, 1, 1]),
        (bounded("ThresholdedRelu", alpha=1.0), [0, 1, 2, -1], [0, 0, 1, 0]),
        (bounded("HardSigmoid", alpha=0.5, beta=0.5), [-2, -1, 0, 1], [0, 0, 0.5, 0]),
        (bounded("HardSwish"), [-3, -4, 3, 5], [0, 0, 1, 1]),
        (case("Clip", (4,), np.array(0.0), np.array(1.0)), [-1, 0, 1, 2], [0, 1, 1, 0]),
        (bounded("ReduceMax"), [1, 3, 3, 0], [0, 0.5, 0.5, 0]),
        (bounded("ReduceMin", keepdims=0), [1, 3, 1, 1], [1 / 3, 0, 1 / 3, 1 / 3]),
        (bounded("ReduceL1"), [1, 0, -2, 0], [1, 0, -1, 0]),
        (bounded("ReduceL2"), [0, 0, 0, 0], [0, 0, 0, 0]),
        (bounded("ReduceProd"), [2, 0, 3, 5], [0, 30, 0, 0]),
        (bounded("ReduceProd"), [2, 0, 3, 0], [0, 0, 0, 0]),
        (case("Pow", (4,), np.array(0.0)), [0, 1, -1, 2], [0, 0, 0, 0]),
        (case("Pow", (4,), np.array(1.0)), [0, 1, -1, 2], [1, 1, 1, 1]),
        (case("Pow", (4,), np.array(2.0)), [0, 1, -1, 2], [0, 2, -2, 4]),
        (case("Max", (4,), np.array([1.0, 2, 3, 4])), [1, 0, 3, 5], [1, 0, 1, 1]),
        (case("Min", np.array([1.0, 2, 3, 4]), (4,), wrt=1), [1, 0, 3, 5], [0, 1, 0, 0]),
    ],
    ids=lambda value: str(value) if isinstance(value, Case) else "",
)
def test_at_the_kink(each: Case, x: Values, want: Values) -> None:
    np.testing.assert_allclose(gradient(each, x), want, rtol=1e-6)


def test_equal_extremes_among_operands_go_to_the_first() -> None:
    first = case("Max", (2,), np.array([1.0, 1.0]), np.array([0.0, 1.0]))
    second = case("Max", np.array([1.0, 0.0]), (2,), np.array([1.0, 1.0]), wrt=1)
    np.testing.assert_array_equal(gradient(first, [1, 1]), [1, 1])
    np.testing.assert_array_equal(gradient(second, [1, 1]), [0, 1])
