"""The rewritten model: what it promises, and that its numbers are Grad-CAM's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from builders import (
    as_float16,
    channels_last,
    classifier,
    concat_end,
    ended_with,
    gap_linear,
    paddle_like,
    se_like,
    torch_like,
    two_outputs,
    vgg_like,
    vit_like,
)
from graphs import CLASSES, pictures, weights

import onnxcam
from onnxcam.errors import LayerError, MethodError, ModelError, TargetError

Arrays = dict[str, np.ndarray]
MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "classifier": classifier,
    "opset 11": lambda: classifier(opset=11),
    "opset 13": lambda: classifier(opset=13),
    "opset 22": lambda: classifier(opset=22),
    "dynamic batch": torch_like,
    "batch of 4": lambda: classifier((4, 3, 16, 16)),
    "dynamic": lambda: classifier(("n", 3, "h", "w")),
    "channels last": channels_last,
    "paddle": paddle_like,
    "vgg": vgg_like,
    "se": se_like,
    "concat": concat_end,
    "vit": vit_like,
    "two outputs": two_outputs,
    "softmax": lambda: ended_with("Softmax"),
    "argmax": lambda: ended_with("Softmax", ["ArgMax"], ("n", 3, 16, 16)),
}


def run(model: onnx.ModelProto, optimized: bool = True, **feeds: np.ndarray) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def batch_of(model: onnx.ModelProto) -> np.ndarray:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    x = pictures(dims[0].dim_value or 2)
    return x.transpose(0, 2, 3, 1) if dims[3].dim_value == 3 else x


def described(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
    kind = value.type.tensor_type
    return value.name, kind.elem_type, [d.dim_value or d.dim_param for d in kind.shape.dim]


@pytest.mark.parametrize("top", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_a_rewritten_model_keeps_the_contract(name: str, top: int) -> None:
    model = MODELS[name]()
    made = onnxcam.rewrite(model, top=top)
    onnx.checker.check_model(made, full_check=True)
    onnx.shape_inference.infer_shapes(made, strict_mode=True, data_prop=True)
    count = len(model.graph.output)
    assert list(made.graph.output[:count]) == list(model.graph.output)
    assert list(made.graph.input[:-1]) == list(model.graph.input)
    cam, target = map(described, made.graph.output[count:])
    assert (cam[0], cam[1], len(cam[2]), cam[2][1]) == ("cam", onnx.TensorProto.FLOAT, 4, top)
    assert (target[0], target[1], target[2][1:]) == ("cam_target", onnx.TensorProto.INT64, [top])
    request = described(made.graph.input[-1])
    assert (request[0], request[1], request[2][1]) == ("cam_class", onnx.TensorProto.INT64, top)

    x = batch_of(model)
    before, after = run(model, False, image=x), run(made, False, image=x)
    for output, values in before.items():
        np.testing.assert_array_equal(after[output], values)
    before, after = run(model, image=x), run(made, image=x)
    for output, values in before.items():  # what is fused may round otherwise
        np.testing.assert_allclose(after[output], values, rtol=1e-5, atol=1e-6)
    assert after["cam"].shape[:2] == (len(x), top)
    assert after["cam"].dtype == np.float32
    assert after["cam_target"].shape == (len(x), top)
    assert (after["cam"] >= 0).all()
    for declared, size in zip(cam[2], after["cam"].shape, strict=True):
        assert isinstance(declared, str) or declared == size


def test_metadata_says_what_was_done() -> None:
    made = onnxcam.rewrite(torch_like(), layer="relu1", top=2, score="probability")
    assert {entry.key: entry.value for entry in made.metadata_props} == {
        "author": "tests",
        "onnxcam.version": onnxcam.__version__,
        "onnxcam.method": "gradcam",
        "onnxcam.layer": "relu1",
        "onnxcam.score": "probability",
        "onnxcam.top": "2",
        "onnxcam.profile": "cpu",
        "onnxcam.form": "raw",
        "onnxcam.resolution": "layer",
        "onnxcam.choice": "run-time",
        "onnxcam.gradient": "exact",
        "onnxcam.prefix": "onnxcam",
    }


def test_left_out_the_best_classes_are_explained() -> None:
    x = pictures(2)
    answer = run(onnxcam.rewrite(torch_like(), top=3), image=x)
    best = np.argsort(-answer["logits"], axis=1)[:, :3]
    np.testing.assert_array_equal(answer["cam_target"], best)


def test_several_targets_equal_as_many_runs() -> None:
    x = pictures(2)
    wanted = np.array([[4, 0, 2], [1, 1, 3]])
    one, three = (onnxcam.rewrite(torch_like(), top=k) for k in (1, 3))
    together = run(three, image=x, cam_class=wanted)
    np.testing.assert_array_equal(together["cam_target"], wanted)
    for k in range(3):
        alone = run(one, image=x, cam_class=wanted[:, k : k + 1])
        np.testing.assert_allclose(together["cam"][:, k], alone["cam"][:, 0], rtol=1e-5, atol=1e-6)


def test_an_entry_of_minus_one_means_the_kth_best() -> None:
    x = pictures(2)
    made = onnxcam.rewrite(torch_like(), top=2)
    best = run(made, image=x)["cam_target"]
    mixed = run(made, image=x, cam_class=np.array([[-1, 3], [0, -1]]))["cam_target"]
    np.testing.assert_array_equal(mixed, [[best[0, 0], 3], [0, best[1, 1]]])


def test_one_row_of_classes_serves_the_whole_batch() -> None:
    x = pictures(3)
    made = onnxcam.rewrite(torch_like(), top=2)
    short = run(made, image=x, cam_class=np.array([[2, 4]]))
    long = run(made, image=x, cam_class=np.array([[2, 4]] * 3))
    np.testing.assert_array_equal(short["cam"], long["cam"])
    np.testing.assert_array_equal(short["cam_target"], [[2, 4]] * 3)


def test_a_batch_equals_its_pictures() -> None:
    x = pictures(3)
    made = onnxcam.rewrite(torch_like())
    together = run(made, image=x)
    for k in range(3):
        alone = run(made, image=x[k : k + 1])
        np.testing.assert_allclose(together["cam"][k], alone["cam"][0], rtol=1e-5, atol=1e-6)


# -- the numbers ------------------------------------------------------------------------------


def test_grad_cam_of_pooling_and_a_linear_layer_in_closed_form() -> None:
    w = weights(4, 3)
    x = pictures(2, side=4)
    answer = run(onnxcam.rewrite(gap_linear(w, batch="n")), image=x)
    features = np.maximum(x, 0)
    for n in range(2):
        row = w[answer["cam_target"][n, 0]]
        expected = np.maximum(np.einsum("k,khw->hw", row, features[n]) / 16, 0)
        np.testing.assert_allclose(answer["cam"][n, 0], expected, rtol=1e-5, atol=1e-7)


def test_grad_cam_in_front_of_a_convolution() -> None:
    """At relu1 the mean gradient goes back through conv2, a ReLU and the pooling."""
    model = torch_like()
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    inner = onnx.ModelProto()
    inner.CopyFrom(model)
    for name in ("relu1", "conv2"):
        inner.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
    x = pictures(1)
    seen = run(inner, image=x)
    index = 3
    answer = run(onnxcam.rewrite(model, layer="relu1"), image=x, cam_class=np.array([[index]]))
    activations, before = seen["relu1"][0], seen["conv2"][0]
    dy = stored["logits.weight"][index][:, None, None] / 64 * (before > 0)
    w = stored["conv2.weight"]
    padded = np.zeros((6, 10, 10))
    for i in range(3):
        for j in range(3):
            padded[:, i : i + 8, j : j + 8] += np.einsum("ohw,oc->chw", dy, w[:, :, i, j])
    mean = padded[:, 1:9, 1:9].mean((1, 2))
    expected = np.maximum(np.einsum("c,chw->hw", mean, activations), 0)
    np.testing.assert_allclose(answer["cam"][0, 0], expected, rtol=1e-4, atol=1e-6)


def test_tokens_leave_the_class_token_out() -> None:
    """The map of a 16 x 16 picture in 4 x 4 patches has 4 x 4 cells, row by row."""
    made = onnxcam.rewrite(vit_like(), layer="embedded")
    assert run(made, image=pictures())["cam"].shape == (1, 1, 4, 4)


@pytest.mark.parametrize("op", ["Softmax", "Sigmoid", "LogSoftmax", None])
def test_the_gradient_of_the_probability_is_the_chain_rule(op: str | None) -> None:
    """All channels' gradients at once: seeds times the gradients of each logit."""
    model = ended_with(op)
    x = pictures()
    network_logits = run(_with_output(model, "logits"), image=x)["logits"][0].astype(np.float64)
    index = 2
    if op == "Sigmoid":
        p = 1 / (1 + np.exp(-network_logits))
        seeds = np.eye(CLASSES)[index] * p * (1 - p)
    else:
        e = np.exp(network_logits - network_logits.max())
        p = e / e.sum()
        seeds = p[index] * (np.eye(CLASSES)[index] - p)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    features = run(_with_output(model, "features"), image=x)["features"][0]
    mean = seeds @ stored["logits.weight"] / 64
    expected = np.maximum(np.einsum("c,chw->hw", mean, features), 0)
    made = onnxcam.rewrite(model, score="probability")
    answer = run(made, image=x, cam_class=np.array([[index]]))["cam"][0, 0]
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-7)


def _with_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if name not in [output.name for output in copy.graph.output]:
        copy.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
    return copy


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_the_logit_is_explained_behind_any_activation(op: str) -> None:
    """A final activation is stepped over: the map is the bare model's."""
    bare = run(onnxcam.rewrite(classifier()), image=pictures())
    ended = run(onnxcam.rewrite(ended_with(op, ["Identity"])), image=pictures())
    np.testing.assert_array_equal(ended["cam_target"], bare["cam_target"])
    np.testing.assert_allclose(ended["cam"], bare["cam"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("top", [1, 2])
def test_half_precision_agrees_with_single(top: int) -> None:
    x = pictures()
    half = run(onnxcam.rewrite(as_float16(classifier()), top=top), image=x.astype(np.float16))
    single = run(onnxcam.rewrite(classifier(), top=top), image=x)
    assert half["cam"].dtype == np.float32
    np.testing.assert_array_equal(half["cam_target"], single["cam_target"])
    np.testing.assert_allclose(half["cam"], single["cam"], atol=0.02 * single["cam"].max())


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"method": "gradcan"}, MethodError),
        ({"layer": "nowhere"}, LayerError),
        ({"layer": 99}, LayerError),
        ({"top": 0}, TargetError),
        ({"top": 6}, TargetError),
        ({"score": "margin"}, TargetError),
        ({"profile": "none"}, ModelError),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(how: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        onnxcam.rewrite(classifier(), **how)


def test_a_layer_that_the_score_does_not_depend_on_is_called_disconnected() -> None:
    model = classifier()
    model.graph.node.append(onnx.helper.make_node("Abs", ["features"], ["aside"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("aside", 1, [1, 8, 8, 8]))
    with pytest.raises(ModelError, match="disconnected"):
        onnxcam.rewrite(model, layer="aside")


def test_the_given_model_is_left_alone() -> None:
    model = torch_like()
    before = model.SerializeToString(deterministic=True)
    onnxcam.rewrite(model, top=2)
    assert model.SerializeToString(deterministic=True) == before
