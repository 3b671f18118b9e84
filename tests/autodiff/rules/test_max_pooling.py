"""Max pooling: finite differences away from ties, and PyTorch's choice at ties."""

import numpy as np
import pytest
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case, model_of, session_of

from onnxcam.gradients import append_gradients

CASES = [
    case("GlobalMaxPool", (2, 3, 4, 5), dynamic=((0,), (0, 2, 3))),
    case("GlobalMaxPool", (2, 3, 4), opset=11, dynamic=((0,), (0, 2)), runtime=True),
] + [
    case(
        "MaxPool",
        (2, 2, *size),
        kernel_shape=kernel,
        dynamic=((0,), (0, *range(2, 2 + len(size)))),
        opset=opset,
        runtime=True,
        low=-6.0,
        high=6.0,
        **attrs,
    )
    for size, kernel, opset, attrs in (
        ((6, 4), [2, 2], 11, {"strides": [2, 2]}),
        ((5, 7), [2, 2], 13, {"strides": [2, 2]}),
        ((5, 7), [2, 3], 18, {"strides": [2, 2], "ceil_mode": 1}),
        ((6, 6), [3, 3], 18, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ((6, 7), [3, 3], NEWEST, {"strides": [2, 2], "pads": [0, 0, 1, 1]}),
        ((7, 7), [3, 3], 18, {"strides": [2, 2], "pads": [1, 0, 0, 1], "ceil_mode": 1}),
        ((9, 8), [3, 2], 18, {"dilations": [2, 1], "strides": [3, 2], "pads": [2, 0, 1, 0]}),
        ((7, 8), [2, 2], 18, {"strides": [3, 4]}),
        ((7, 6), [3, 3], 18, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ((7, 6), [3, 2], 18, {"strides": [2, 1], "auto_pad": "SAME_LOWER"}),
        ((4, 4), [4, 4], 18, {}),
        ((4, 3), [3, 3], 18, {"pads": [1, 1, 1, 1], "storage_order": 1}),
        ((8,), [3], 11, {"strides": [2]}),
        ((4, 3, 4), [3, 2, 2], 18, {"pads": [1, 0, 0, 1, 1, 0]}),
        ((5, 4), [1, 2], 18, {"strides": [2, 1]}),
        ((5, 4), [1, 1], 18, {}),
        ((4, 5), [4, 2], 18, {"strides": [3, 2]}),
        ((4, 5), [5, 6], 18, {"pads": [0, 1, 1, 0]}),
        ((6,), [6], 11, {}),
    )
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


def gradient(pool: Case, x: np.ndarray, dynamic: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The pool's output and the gradient of its sum."""
    model = append_gradients(model_of(pool, dynamic=dynamic), of="y0", wrt=["x0"])
    y, dx = session_of(model).run(["y0", "x0_grad"], {"x0": x})
    return y, dx


def first_maxima(x: np.ndarray, kernel: int, stride: int, pad: int, count: int) -> np.ndarray:
    """One for each window at its first maximum in row-major order, by the definition."""
    dx = np.zeros_like(x)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf)
    for n, c, i, j in np.ndindex(*x.shape[:2], count, count):
        part = padded[n, c, i * stride :, j * stride :][:kernel, :kernel]
        row, column = np.unravel_index(part.argmax(), part.shape)
        dx[n, c, i * stride + row - pad, j * stride + column - pad] += 1
    return dx


@pytest.mark.parametrize("dynamic", [(), (0, 2, 3)])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 1, 0), (2, 3, 0), (5, 1, 2), (4, 3, 1), (7, 1, 0)],
)
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_of_equal_maxima_the_first_takes_it(kernel, stride, pad, levels, dynamic) -> None:
    # Few levels, all below zero or zero: every window has ties, as behind a Relu.
    x = -np.random.default_rng(levels).integers(0, levels, (2, 2, 7, 7)).astype(np.float32)
    pool = case(
        "MaxPool",
        x.shape,
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
    )
    y, dx = gradient(pool, x, dynamic)
    np.testing.assert_array_equal(dx, first_maxima(x, kernel, stride, pad, y.shape[-1]))


def test_equal_global_maxima_share() -> None:
    x = np.array([[[1.0, 3.0, 3.0, 0.0]]], dtype=np.float32)
    _, dx = gradient(case("GlobalMaxPool", x.shape), x, ())
    np.testing.assert_array_equal(dx, [[[0, 0.5, 0.5, 0]]])


def emitted(size: list[int], **attrs: object) -> int:
    """How many nodes the gradient of a pool is made of."""
    pool = case("MaxPool", (1, 1, *size), **attrs)
    graph = append_gradients(model_of(pool), of="y0", wrt=["x0"]).graph
    return sum(node.name.startswith("onnxcam/") for node in graph.node)


def test_nodes_grow_with_the_sides_of_a_kernel_not_with_its_area() -> None:
    counts = [emitted([40, 40], kernel_shape=[k, k]) for k in (10, 20, 30)]
    assert counts[2] - counts[1] == counts[1] - counts[0] < 10 * (10 + 10)


def test_a_window_that_sees_everything_costs_a_few_nodes() -> None:
    assert emitted([40, 30], kernel_shape=[40, 30]) < 20
