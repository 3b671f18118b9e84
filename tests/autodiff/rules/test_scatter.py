"""Single values picked and placed by index."""

import numpy as np
import onnx
import pytest
from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, Fed, case, model_of, session_of, spread_values
from onnx import TensorProto, helper, numpy_helper

from onnxcam.gradients import append_gradients

SHAPE = (2, 5, 4)


def ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


PICKED = ints([[[0, 2, 1, 0], [4, 2, 1, 3]], [[1, 1, 1, 0], [3, 4, 0, 2]]])

ELEMENTS = [
    case("GatherElements", SHAPE, PICKED, axis=1, opset=opset) for opset in (11, 13, 16)
] + [
    case("GatherElements", SHAPE, Fed(PICKED % 4), axis=-1, opset=opset, dynamic=(), runtime=True)
    for opset in (12, NEWEST)
]
TOP = [
    case("TopK", SHAPE, ints([2]), outputs=2, opset=11),
    case("TopK", SHAPE, ints([3]), outputs=2, axis=1, largest=0, dynamic=((0,), (0, 2))),
    case("TopK", SHAPE, ints([1]), outputs=2, axis=0, opset=NEWEST, dynamic=()),
]
PLACED = ints([[[0, 2, 1, 3], [4, 0, 2, 1]], [[1, 1, 0, 0], [3, 4, 4, 2]]])
REDUCTIONS = (
    (11, {}),
    (18, {"reduction": "none"}),
    (NEWEST, {"reduction": "add"}),
    (16, {"reduction": "mul"}),
    (18, {"reduction": "min"}),
    (NEWEST, {"reduction": "max"}),
)
SCATTER = [
    case("ScatterElements", SHAPE, PLACED, (2, 2, 4), axis=1, wrt=wrt, opset=opset, **attrs)
    for wrt in (0, 2)
    for opset, attrs in REDUCTIONS
]
# Several updates at one place, and zeros among them.
TWICE = ints([[[0, 2, 1, 3], [0, 2, 1, 1]], [[1, 1, 0, 0], [1, 1, 4, 4]]])
SOME_ZERO = spread_values(SHAPE, -2.0, 2.0, 3) * (np.arange(40).reshape(SHAPE) % 3 > 0)
UPDATES = spread_values((2, 2, 4), -2.0, 2.0, 4)
UPDATES[0, 0, 0] = UPDATES[1, :, 0] = UPDATES[0, 1, 2] = 0
SEVERAL = [
    case("ScatterElements", SHAPE, Fed(TWICE), (2, 2, 4), axis=1, wrt=wrt, reduction=reduction)
    for wrt in (0, 2)
    for reduction in ("add", "mul", "min", "max")
] + [
    case(
        "ScatterElements",
        Fed(SOME_ZERO),
        TWICE,
        Fed(UPDATES),
        axis=1,
        wrt=wrt,
        reduction="mul",
        dynamic=(),
    )
    for wrt in (0, 2)
]
CASES = [*ELEMENTS, *TOP, *SCATTER, *SEVERAL]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


def test_its_forerunner_is_converted() -> None:
    """Scatter, up to opset 10, is what ScatterElements is from 11 on."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    updates = helper.make_tensor_value_info("updates", TensorProto.FLOAT, [1, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    index = numpy_helper.from_array(np.array([[1, 0]]), "index")
    node = helper.make_node("Scatter", ["x", "index", "updates"], ["y"], axis=0)
    graph = helper.make_graph([node], "scatter", [x, updates], [y], [index])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=7)
    onnx.checker.check_model(model)
    session = session_of(append_gradients(model, of="y", wrt=["x", "updates"]))
    feeds = {"x": np.ones((2, 3), np.float32), "updates": np.ones((1, 2), np.float32)}
    of_x, of_updates = session.run(["x_grad", "updates_grad"], feeds)
    np.testing.assert_array_equal(of_x, [[1, 0, 1], [0, 1, 1]])
    np.testing.assert_array_equal(of_updates, [[1, 1]])


@pytest.mark.parametrize("reduction", ["min", "max"])
def test_equal_extremes_share(reduction: str) -> None:
    ones = [Fed(np.ones(shape)) for shape in ((3,), (2,))]
    same = case("ScatterElements", ones[0], ints([1, 1]), ones[1], reduction=reduction)
    model = append_gradients(model_of(same), of="y0", wrt=["x0", "x2"])
    feeds = {"x0": np.ones(3, np.float32), "x2": np.ones(2, np.float32)}
    of_data, of_updates = session_of(model).run(["x0_grad", "x2_grad"], feeds)
    np.testing.assert_allclose(of_data, [1, 1 / 3, 1])
    np.testing.assert_allclose(of_updates, [1 / 3, 1 / 3])
