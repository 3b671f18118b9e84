"""The reverse walk itself: what it visits, adds up, refuses and leaves alone."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from autodiff.numeric import complete, graph_model, session_of
from onnx import helper

from onnxcam.autodiff import OneHot, differentiate
from onnxcam.autodiff.walk import find_path
from onnxcam.errors import LayerError, ModelError, UnsupportedOperatorError
from onnxcam.gradients import append_gradients
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

SIZE = [2, 3]
X = np.array([[0.5, -1.0, 2.0], [1.5, -0.3, 0.7]], dtype=np.float32)


def node(op: str, inputs: str, output: str, **attrs: object) -> onnx.NodeProto:
    """`inputs` separated by spaces; the node is named after its output."""
    return helper.make_node(op, inputs.split(), [output], name=f"make_{output}", **attrs)


def run(model: onnx.ModelProto, *outputs: str) -> list[np.ndarray]:
    return session_of(model).run(list(outputs), {"x": X})


def ops(path: list) -> list[str]:
    return [each.op for each in path]


def test_only_the_path_is_visited() -> None:
    nodes = [
        node("Exp", "x", "before"),
        node("Sin", "before", "layer"),
        node("Tanh", "layer", "on"),
        node("Cos", "before", "aside"),
        node("Add", "on aside", "score"),
        node("Sigmoid", "score", "behind"),
    ]
    network = Network(graph_model(nodes, {"x": SIZE}, ["behind"]))
    assert ops(find_path(network.graph.nodes, ["layer"], ["score"]).nodes) == ["Tanh", "Add"]
    assert ops(find_path(network.graph.nodes, ["score"], ["score"]).nodes) == []
    assert find_path(network.graph.nodes, ["behind"], ["score"]).nodes == []


def test_an_operator_without_a_rule_off_the_path_is_no_obstacle() -> None:
    nodes = [
        node("Det", "square", "d"),
        node("Exp", "x", "y"),
        node("Mul", "y d", "z"),
    ]
    model = graph_model(nodes, {"x": SIZE, "square": [3, 3]}, ["z"])
    rewritten = append_gradients(model, of="z", wrt=["x"])
    feeds = {"x": X, "square": np.eye(3, dtype=np.float32) * 2}
    (dx,) = session_of(rewritten).run(["x_grad"], feeds)
    np.testing.assert_allclose(dx, 8 * np.exp(X), rtol=1e-5)


def test_a_tensor_used_more_than_once_adds_up() -> None:
    nodes = [
        node("Mul", "x x", "square"),
        node("Exp", "x", "e"),
        node("Add", "square e", "s"),
        node("Add", "s x", "y"),
    ]
    model = append_gradients(graph_model(nodes, {"x": SIZE}, ["y"]), of="y", wrt=["x"])
    np.testing.assert_allclose(run(model, "x_grad")[0], 2 * X + np.exp(X) + 1, rtol=1e-5)


def test_a_tensor_may_be_both_asked_for_and_passed_through() -> None:
    nodes = [node("Exp", "x", "mid"), node("Mul", "mid x", "y")]
    model = graph_model(nodes, {"x": SIZE}, ["y"])
    rewritten = append_gradients(model, of="y", wrt=["x", "mid"])
    dx, dmid = run(rewritten, "x_grad", "mid_grad")
    np.testing.assert_allclose(dmid, X, rtol=1e-5)
    np.testing.assert_allclose(dx, (X + 1) * np.exp(X), rtol=1e-5)


def test_a_chain_of_which_every_tensor_is_asked_for() -> None:
    nodes = [node("Exp", "x", "a"), node("Neg", "a", "b"), node("Mul", "b b", "y")]
    rewritten = append_gradients(
        graph_model(nodes, {"x": SIZE}, ["y"]), of="y", wrt=["b", "a", "x"]
    )
    dx, da, db = run(rewritten, "x_grad", "a_grad", "b_grad")
    np.testing.assert_allclose(db, -2 * np.exp(X), rtol=1e-5)
    np.testing.assert_allclose(da, 2 * np.exp(X), rtol=1e-5)
    np.testing.assert_allclose(dx, 2 * np.exp(2 * X), rtol=1e-5)


def test_several_seeds_add_up() -> None:
    nodes = [node("Exp", "x", "a"), node("Sin", "x", "b")]
    e = Emitter(Network(graph_model(nodes, {"x": SIZE}, ["a", "b"])))
    one = e.constant(np.ones((1, 1)), np.float32)
    dx = differentiate(e, {"a": one, "b": one}, ["x"])["x"]
    (got,) = run(complete(e, {"dx": e.expand(dx, e.network.tensors["x"])}, []), "dx")
    np.testing.assert_allclose(got, np.exp(X) + np.cos(X), rtol=1e-5)


def test_a_seed_in_the_middle_of_the_path_is_added() -> None:
    nodes = [node("Exp", "x", "a"), node("Neg", "a", "b")]
    e = Emitter(Network(graph_model(nodes, {"x": SIZE}, ["b"])))
    one, five = (e.constant(np.full((1, 1), v), np.float32) for v in (1, 5))
    dx = differentiate(e, {"b": one, "a": five}, ["x"])["x"]
    (got,) = run(complete(e, {"dx": dx}, []), "dx")
    np.testing.assert_allclose(got, 4 * np.exp(X), rtol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_a_one_hot_cotangent_picks_a_row(op: str, bias: bool) -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    nodes = [node(op, "x w", "z"), node("Add", "z c", "y") if bias else node("Identity", "z", "y")]
    stored = {"w": weight, "c": np.ones((1, 4), np.float32)}
    e = Emitter(Network(graph_model(nodes, {"x": SIZE}, ["y"], stored)))
    classes = np.array([[1, 3], [0, 2], [2, 2]])
    hot = OneHot(e.constant(classes), 4, np.dtype(np.float32))
    dx = differentiate(e, {"y": hot}, ["x"])["x"]
    model = complete(e, {"dx": dx}, [])
    np.testing.assert_array_equal(run(model, "dx")[0], weight.T[classes])
    assert not [each for each in model.graph.node if each.op_type == "OneHot"]


def test_a_one_hot_cotangent_becomes_dense_where_it_must() -> None:
    nodes = [node("Exp", "x", "y")]
    e = Emitter(Network(graph_model(nodes, {"x": SIZE}, ["y"])))
    hot = OneHot(e.constant(np.array([2, 0])), 3, np.dtype(np.float32))
    dx = differentiate(e, {"y": hot}, ["x"])["x"]
    (got,) = run(complete(e, {"dx": dx}, []), "dx")
    np.testing.assert_allclose(got, np.exp(X) * [[0, 0, 1], [1, 0, 0]], rtol=1e-5)


def test_an_operator_without_a_rule_is_named() -> None:
    bits = node("BitCast", "a", "b", to=onnx.TensorProto.FLOAT)
    nodes = [node("Exp", "x", "a"), bits, node("Neg", "b", "y")]
    model = graph_model(nodes, {"x": [2, 3, 3]}, ["y"], opset=26)
    with pytest.raises(UnsupportedOperatorError, match=r"'make_b' \(BitCast\), opset 26"):
        append_gradients(model, of="y", wrt=["x"])
    append_gradients(model, of="y", wrt=["b"])  # behind it all is well


def test_a_zero_derivative_cuts_the_path() -> None:
    nodes = [node("Floor", "x", "f"), node("Exp", "f", "y")]
    model = graph_model(nodes, {"x": SIZE}, ["y"])
    assert find_path(Network(model).graph.nodes, ["x"], ["y"]).nodes == []
    with pytest.raises(ModelError, match="does not depend differentiably on 'x'"):
        append_gradients(model, of="y", wrt=["x"])


def test_a_zero_derivative_beside_the_path_adds_nothing() -> None:
    nodes = [node("Round", "x", "r"), node("Mul", "x r", "y")]
    model = append_gradients(graph_model(nodes, {"x": SIZE}, ["y"]), of="y", wrt=["x"])
    np.testing.assert_array_equal(run(model, "x_grad")[0], np.round(X))


def test_integers_end_the_path() -> None:
    to_int = node("Cast", "x", "i", to=onnx.TensorProto.INT64)
    back = node("Cast", "i", "y", to=onnx.TensorProto.FLOAT)
    model = graph_model([to_int, back], {"x": SIZE}, ["y"])
    assert find_path(Network(model).graph.nodes, ["x"], ["y"]).nodes == []
    with pytest.raises(ModelError, match="int64"):
        append_gradients(model, of="y", wrt=["i"])


def test_an_unknown_tensor_is_refused_with_the_nearest_name() -> None:
    model = graph_model([node("Exp", "x", "score")], {"x": SIZE}, ["score"])
    with pytest.raises(LayerError, match="did you mean 'score'"):
        append_gradients(model, of="scor", wrt=["x"])


def test_a_chain_of_thousands_of_nodes() -> None:
    count = 3000
    names = ["x", *(f"t{k}" for k in range(1, count)), "y"]
    nodes = [node("Neg", a, b) for a, b in pairwise(names)]
    model = append_gradients(graph_model(nodes, {"x": SIZE}, ["y"]), of="y", wrt=["x"])
    assert len(model.graph.node) >= 2 * count
    np.testing.assert_array_equal(run(model, "x_grad")[0], np.ones_like(X))


def rewritten_pair() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("MaxPool", "r", "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "m", "y"),
    ]
    rng = np.random.default_rng(0)
    stored = {
        "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "b": rng.normal(size=4).astype(np.float32),
    }
    model = graph_model(nodes, {"x": ["N", 3, 8, 8]}, ["y"], stored)
    model.doc_string = "kept"
    model.metadata_props.add(key="kept", value="too")
    return model, append_gradients(model, of="y", wrt=["x"])


def test_the_original_model_survives_untouched() -> None:
    model, rewritten = rewritten_pair()
    before = model.SerializeToString()
    append_gradients(model, of="y", wrt=["x"])
    assert model.SerializeToString() == before
    count = len(model.graph.node)
    assert list(rewritten.graph.node)[:count] == list(model.graph.node)
    assert list(rewritten.graph.initializer)[: len(model.graph.initializer)] == list(
        model.graph.initializer
    )
    assert list(rewritten.graph.input) == list(model.graph.input)
    assert next(iter(rewritten.graph.output)) == model.graph.output[0]
    assert rewritten.doc_string == "kept"
    assert list(rewritten.metadata_props) == list(model.metadata_props)


def test_nothing_is_emitted_that_is_not_used() -> None:
    model, rewritten = rewritten_pair()
    added = list(rewritten.graph.node)[len(model.graph.node) :]
    used = {name for each in rewritten.graph.node for name in each.input}
    used |= {output.name for output in rewritten.graph.output}
    assert added
    assert [each.name for each in added if not used & set(each.output)] == []
    stored = [tensor.name for tensor in rewritten.graph.initializer]
    assert set(stored) <= used
    assert len(stored) == len(set(stored))
    onnx.checker.check_model(rewritten, full_check=True)
