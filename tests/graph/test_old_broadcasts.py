"""Models from before opset 7, whose operands were matched from an axis on."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from autodiff.numeric import difference_gradient, session_of

from onnxcam.errors import ModelError
from onnxcam.gradients import append_gradients
from onnxcam.graph.normal_form import in_normal_form

X = np.random.default_rng(0).uniform(-2, 2, (2, 3, 4, 5)).astype(np.float32)


def old(body: str, operand: tuple[int, ...], opset: int = 6) -> onnx.ModelProto:
    dims = ",".join(map(str, operand))
    text = f"g (float[2,3,4,5] x, float[{dims}] b) => (float[2,3,4,5] y) {{ {body} }}"
    return onnx.parser.parse_model(f'<ir_version: 3, opset_import: ["" : {opset}]> {text}')


def ran(model: onnx.ModelProto, b: np.ndarray) -> np.ndarray:
    (y,) = session_of(in_normal_form(model)).run(["y"], {"x": X, "b": b})
    return y


@pytest.mark.parametrize(
    ("axis", "shape", "aligned"),
    [
        (1, (3,), (3, 1, 1)),
        (1, (3, 4), (3, 4, 1)),
        (2, (4,), (4, 1)),
        (-2, (4,), (4, 1)),
        (3, (5,), (5,)),
        (0, (2, 3, 4, 5), (2, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize(("op", "f"), [("Add", np.add), ("Sub", np.subtract), ("Div", np.divide)])
def test_an_operand_is_matched_from_its_axis_on(op, f, axis, shape, aligned) -> None:
    b = np.random.default_rng(1).uniform(0.5, 2, shape).astype(np.float32)
    got = ran(old(f"y = {op}<broadcast = 1, axis = {axis}>(x, b)", shape), b)
    np.testing.assert_allclose(got, f(X, b.reshape(aligned)), rtol=1e-6)


def test_without_an_axis_it_is_matched_from_the_last_one_on() -> None:
    b = np.arange(5, dtype=np.float32)
    np.testing.assert_allclose(ran(old("y = Mul<broadcast = 1>(x, b)", (5,)), b), X * b)


@pytest.mark.parametrize("count", [1, 3])
def test_slopes_are_those_of_the_channels(count: int) -> None:
    b = np.array([0.5, 0.25, -1][:count], np.float32)
    want = np.where(X > 0, X, X * b.reshape(-1, 1, 1))
    np.testing.assert_allclose(ran(old("y = PRelu(x, b)", (count,)), b), want, rtol=1e-6)


def test_the_gradient_of_what_was_matched_from_an_axis_on() -> None:
    model = old("a = PRelu(x, b) c = Mul<broadcast = 1, axis = 1>(a, b) y = Tanh(c)", (3,))
    b = np.array([0.5, 0.25, -1], np.float32)
    rewritten = append_gradients(model, "y", ["x", "b"])
    got = session_of(rewritten).run(["x_grad", "b_grad"], {"x": X, "b": b})

    def y(x: np.ndarray, b: np.ndarray) -> np.ndarray:
        b = b.reshape(-1, 1, 1)
        return np.tanh(b * np.where(x > 0, x, x * b))

    wide, slopes, ones = X.astype(np.float64), b.astype(np.float64), np.ones(X.shape)
    want = [
        difference_gradient(lambda v: y(v, slopes), wide, ones, 1e-6),
        difference_gradient(lambda v: y(wide, v), slopes, ones, 1e-6),
    ]
    for found, expected in zip(got, want, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_an_operand_of_unknown_rank_is_refused() -> None:
    text = """g (float[2,3,4,5] x, float[3] b, int64[K] sizes) => (float[2,3,4,5] y) {
      z = Reshape(b, sizes) y = Add<broadcast = 1, axis = 1>(x, z)
    }"""
    model = onnx.parser.parse_model(f'<ir_version: 3, opset_import: ["" : 6]> {text}')
    with pytest.raises(ModelError, match=r"\(Add\) broadcasts as .* opset 7"):
        in_normal_form(model)


def test_the_scan_of_opset_8_is_refused() -> None:
    node = onnx.helper.make_node("Scan", ["", "x"], ["y"], num_scan_inputs=1)
    vector = onnx.helper.make_tensor_value_info("s", 1, [2])
    identity = onnx.helper.make_node("Identity", ["s"], ["t"])
    out = onnx.helper.make_tensor_value_info("t", 1, [2])
    body = onnx.helper.make_graph([identity], "body", [vector], [out])
    node.attribute.append(onnx.helper.make_attribute("body", body))
    x = onnx.helper.make_tensor_value_info("x", 1, [1, 3, 2])
    y = onnx.helper.make_tensor_value_info("y", 1, [1, 3, 2])
    graph = onnx.helper.make_graph([node], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 8)])
    with pytest.raises(ModelError, match=r"Scan of opset 8.*opset 9 or newer"):
        in_normal_form(model)
