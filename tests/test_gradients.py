"""`append_gradients`: any tensor's gradient with respect to any others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from builders import classifier, torch_like, with_operator
from graphs import Build, pictures, weights

import onnxcam
from onnxcam.autodiff import registry
from onnxcam.errors import LayerError, ModelError, UnsupportedOperatorError


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def linear() -> onnx.ModelProto:
    """y = x W, z = y^2."""
    b = Build(("n", 3), name="x")
    b.weight("W", weights(3, 2))
    b.op("MatMul", ["x", "W"], "y")
    b.op("Mul", ["y", "y"], "z")
    b.output("z", ["n", 2])
    return b.model()


def test_the_gradient_of_a_sum_in_closed_form() -> None:
    x = weights(4, 3, seed=9)
    answer = run(onnxcam.append_gradients(linear(), of="z", wrt=["x", "y"]), x=x)
    w = weights(3, 2)
    assert list(answer) == ["z", "x_grad", "y_grad"]
    np.testing.assert_allclose(answer["y_grad"], 2 * x @ w, rtol=1e-5)
    np.testing.assert_allclose(answer["x_grad"], 2 * (x @ w) @ w.T, rtol=1e-5)


def test_a_seed_makes_it_the_vector_jacobian_product() -> None:
    x, seed = weights(4, 3, seed=9), weights(4, 2, seed=8)
    made = onnxcam.append_gradients(linear(), of="z", wrt=["x"], seed=True)
    answer = run(made, x=x, z_seed=seed)
    w = weights(3, 2)
    np.testing.assert_allclose(answer["x_grad"], (2 * seed * (x @ w)) @ w.T, rtol=1e-5)


def test_the_gradient_has_the_tensors_shape_and_type() -> None:
    made = onnxcam.append_gradients(torch_like(), of="logits", wrt=["features", "image"])
    answer = run(made, image=pictures(2))
    assert answer["features_grad"].shape == (2, 8, 8, 8)
    assert answer["image_grad"].shape == (2, 3, 16, 16)
    assert answer["features_grad"].dtype == np.float32


def test_the_gradient_of_a_tensor_by_itself_is_one() -> None:
    answer = run(onnxcam.append_gradients(linear(), of="z", wrt=["z"]), x=weights(4, 3))
    np.testing.assert_array_equal(answer["z_grad"], np.ones((4, 2)))


def test_finite_differences_agree_through_the_whole_model() -> None:
    x = pictures().astype(np.float64)
    made = onnxcam.append_gradients(torch_like(), of="logits", wrt=["image"])
    gradient = run(made, image=x.astype(np.float32))["image_grad"]
    direction = np.random.default_rng(1).standard_normal(x.shape)
    step = 1e-3
    up, down = (
        run(torch_like(), image=(x + s * step * direction).astype(np.float32))["logits"].sum()
        for s in (1, -1)
    )
    assert (gradient * direction).sum() == pytest.approx((up - down) / (2 * step), rel=2e-2)


def test_gradients_of_gradients_models_and_rewritten_ones_do_not_clash() -> None:
    """What was added once carries names; what is added later must find others."""
    once = onnxcam.append_gradients(torch_like(), of="logits", wrt=["features"])
    twice = onnxcam.append_gradients(once, of="features", wrt=["image"])
    answer = run(onnxcam.rewrite(twice), image=pictures())
    assert {"features_grad", "image_grad", "cam"} <= set(answer)
    alone = run(onnxcam.rewrite(torch_like()), image=pictures())
    np.testing.assert_allclose(answer["cam"], alone["cam"], rtol=1e-6)


def test_the_same_gradient_is_not_added_twice() -> None:
    once = onnxcam.append_gradients(torch_like(), of="logits", wrt=["features"])
    with pytest.raises(ModelError, match="'features_grad'"):
        onnxcam.append_gradients(once, of="logits", wrt=["features"])


def integers() -> onnx.ModelProto:
    model = classifier()
    model.graph.node.append(onnx.helper.make_node("ArgMax", ["logits"], ["best"], axis=1))
    model.graph.output.append(onnx.helper.make_tensor_value_info("best", 7, [1, 1]))
    return model


@pytest.mark.parametrize(
    ("model", "of", "wrt", "error", "words"),
    [
        (classifier, "logit", ["image"], LayerError, "'logits'"),
        (classifier, "logits", ["imge"], LayerError, "'image'"),
        (integers, "best", ["image"], ModelError, "no derivative"),
        (classifier, "conv1", ["conv2"], ModelError, "does not depend differentiably"),
    ],
)
def test_what_has_no_gradient_is_refused(
    model: Callable[[], onnx.ModelProto],
    of: str,
    wrt: list[str],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        onnxcam.append_gradients(model(), of=of, wrt=wrt)


def test_an_operator_without_a_rule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._DERIVATIVES, ("", "Elu"))
    with pytest.raises(UnsupportedOperatorError) as raised:
        onnxcam.append_gradients(with_operator("Elu"), of="logits", wrt=["image"])
    for words in ("'the_odd_one'", "(Elu)", "opset 18"):
        assert words in str(raised.value)
    # Behind the operator everything still differentiates.
    onnxcam.append_gradients(with_operator("Elu"), of="logits", wrt=["conv2"])


def conditional() -> onnx.ModelProto:
    """x * 2 in both branches of an If that reads x from outside, and x again beside it."""
    b = Build((1, 3), name="x")
    b.weight("yes", np.array(True))
    b.weight("two", np.float32(2))
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["x", "two"], ["doubled"])],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("doubled", 1, [1, 3])],
    )
    b.op("If", ["yes"], "either", name="choice", then_branch=branch, else_branch=branch)
    b.op("Add", ["either", "x"], "y")
    b.output("y", [1, 3])
    return b.model()


def test_a_branch_that_reads_a_tensor_from_outside_is_not_overlooked() -> None:
    """The slope is 3; without the branch it would be 1, silently."""
    try:
        made = onnxcam.append_gradients(conditional(), of="y", wrt=["x"])
    except UnsupportedOperatorError as error:
        assert "'choice' (If)" in str(error)  # noqa: PT017
        return
    np.testing.assert_allclose(run(made, x=np.ones((1, 3), np.float32))["x_grad"], 3)
