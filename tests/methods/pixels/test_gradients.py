"""Gradients with respect to the picture, in every layout and element type."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from builders import as_float16, channels_last, classifier, paddle_like, se_like, two_inputs
from graphs import CLASSES, SIDE, Build, pictures, weights
from onnx import TensorProto

import onnxcam
from onnxcam.errors import LayerError, MethodError
from onnxcam.methods.pixels.integrated import RULES, quadrature

CLOSED = ("saliency", "inputxgradient", "guidedbackprop", "deconvolution", "guidedgradcam", "lrp")
SEARCHED = ("integratedgradients", "smoothgrad", "vargrad")


def raw(
    model: onnx.ModelProto, method: str, x: np.ndarray, target: int | list[int], **how: Any
) -> np.ndarray:
    """The map (N, *size) of one class."""
    explainer = onnxcam.Explainer(model, method=method, **how)
    return np.asarray(explainer.run(x, target=target)["raw"][:, 0])


def logits(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(["logits"], {"image": x})[0])


def linear(shape: tuple[int, ...], *, first: str = "", dtype: int = TensorProto.FLOAT):
    """A linear layer on the picture, behind an operator `first`; its weights (classes, ...)."""
    w = weights(CLASSES, int(np.prod(shape[1:])), seed=5)
    b = Build(shape, dtype=dtype)
    x = "image"
    if dtype == TensorProto.UINT8:
        x = b.op("Cast", [x], "real", to=TensorProto.FLOAT)
    if first == "Conv":  # tells the layout of a signal or volume
        c = shape[1]
        eye = np.eye(c, dtype=np.float32).reshape(c, c, *[1] * (len(shape) - 2))
        x = b.op(first, [x, b.weight("eye", eye)], "same")
    b.op("Flatten", [x], "flat")
    b.op("Gemm", ["flat", b.weight("w", w), b.weight("b", weights(CLASSES))], "logits", transB=1)
    b.output("logits", [shape[0], CLASSES])
    return b.model(), w.reshape(CLASSES, *shape[1:])


@pytest.mark.parametrize(
    ("shape", "first", "channel"),
    [
        ((1, 3, 4, 5), "", 1),
        ((1, 6, 5, 3), "", 3),
        ((1, 2, 7), "Conv", 1),
        ((1, 2, 3, 4, 5), "Conv", 1),
    ],
)
@pytest.mark.parametrize("target", [0, 3])
def test_of_a_linear_model_the_gradients_are_its_weights(
    shape: tuple[int, ...], first: str, channel: int, target: int
) -> None:
    model, w = linear(shape, first=first)
    x, g = weights(*shape, seed=9), w[target][None]
    expected = {
        "saliency": np.abs(g).max(axis=channel),
        "inputxgradient": (x * g).sum(axis=channel),
        "guidedbackprop": g.sum(axis=channel),
        "lrp": (x * g).sum(axis=channel),
        "integratedgradients": (x * g).sum(axis=channel),
        "smoothgrad": np.abs(g).max(axis=channel),
        "vargrad": np.zeros_like(g.sum(axis=channel)),
    }
    for method, values in expected.items():
        how = {"gamma": 0} if method == "lrp" else {}
        found = raw(model, method, x, target, **how)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6, err_msg=method)


def test_whole_numbers_are_explained_behind_their_cast() -> None:
    model, w = linear((1, 3, 4, 5), dtype=TensorProto.UINT8)
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 4, 5), dtype=np.uint8)
    found = raw(model, "inputxgradient", x, 2)
    np.testing.assert_allclose(found, (x * w[2]).sum(axis=1), rtol=1e-5)
    explainer = onnxcam.Explainer(model, method="saliency")
    assert [layer.name for layer in explainer.layers] == ["real"]
    np.testing.assert_allclose(explainer.run(x, target=2)["raw"][0, 0], np.abs(w[2]).max(axis=0))


@pytest.mark.parametrize("method", SEARCHED)
def test_whole_numbers_cannot_be_changed_by_fractions(method: str) -> None:
    model, _ = linear((1, 3, 4, 5), dtype=TensorProto.UINT8)
    with pytest.raises(MethodError, match="whole numbers"):
        raw(model, method, np.zeros((1, 3, 4, 5), np.uint8), 0)


@pytest.mark.parametrize("method", [*CLOSED, *SEARCHED])
def test_several_targets_are_one_after_the_other(method: str) -> None:
    x = pictures(2)
    explainer = onnxcam.Explainer(classifier(("n", 3, SIDE, SIDE)), method=method)
    ranked = explainer.run(x, top=CLASSES)
    assert ranked["raw"].shape == (2, CLASSES, SIDE, SIDE)
    for k in range(CLASSES):
        one = explainer.run(x, target=ranked["target"][:, k].tolist())["raw"][:, 0]
        np.testing.assert_allclose(ranked["raw"][:, k], one, rtol=1e-4, atol=1e-7)
    assert not np.allclose(ranked["raw"][:, 0], ranked["raw"][:, -1])


@pytest.mark.parametrize("method", [*CLOSED, *SEARCHED])
def test_channels_last_is_channels_first_with_other_axes(method: str) -> None:
    last = channels_last()
    first = onnx.ModelProto()
    first.CopyFrom(last)
    dims = first.graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims[1:], (3, SIDE, SIDE), strict=True):
        dim.dim_value = size
    del first.graph.node[0].attribute[:]
    first.graph.node[0].op_type = "Identity"
    x = pictures(2)
    expected = raw(first, method, x, 1)
    # The noise of a picture is drawn in its own layout.
    how = {"noise": 0.0} if method in ("smoothgrad", "vargrad") else {}
    if how:
        expected = raw(first, method, x, 1, **how)
    found = raw(last, method, x.transpose(0, 2, 3, 1), 1, **how)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", ["saliency", "guidedgradcam", "lrp", "integratedgradients"])
def test_half_precision(method: str) -> None:
    x = pictures(2)
    whole = raw(classifier(("n", 3, SIDE, SIDE)), method, x, 1)
    half = raw(as_float16(classifier(("n", 3, SIDE, SIDE))), method, x.astype(np.float16), 1)
    np.testing.assert_allclose(half, whole, atol=0.03 * np.abs(whole).max())


@pytest.mark.parametrize("method", CLOSED)
def test_open_sizes(method: str) -> None:
    model = paddle_like()
    session = onnxruntime.InferenceSession(onnxcam.rewrite(model, method).SerializeToString())
    for count, height, width in ((1, 18, 14), (2, 16, 16)):
        x = weights(count, 3, height, width, seed=height)
        cam, target = session.run(["cam", "cam_target"], {"image": x})
        fixed = onnx.ModelProto()
        fixed.CopyFrom(model)
        dims = fixed.graph.input[0].type.tensor_type.shape.dim
        for dim, size in zip(dims, x.shape, strict=True):
            dim.dim_value = size
        expected = raw(fixed, method, x, target[:, 0].tolist())
        np.testing.assert_allclose(cam[:, 0], expected, rtol=1e-4, atol=1e-7)


def test_a_second_input_takes_part() -> None:
    x = pictures(1)
    explainer = onnxcam.Explainer(two_inputs(), method="integratedgradients")
    once = explainer.run({"image": x, "gain": np.float32([1])}, target=0)["raw"]
    twice = explainer.run({"image": x, "gain": np.float32([2])}, target=0)["raw"]
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_quadrature_is_a_mean(rule: str) -> None:
    places, weight = quadrature(rule, 40)
    assert len(places) == len(weight) == 40
    assert weight.sum() == pytest.approx(1)
    assert (weight * places).sum() == pytest.approx(0.5, abs=0.013)
    assert (weight * places**2).sum() == pytest.approx(1 / 3, abs=0.013)


@pytest.mark.parametrize("baseline", [0.0, 0.3, "picture"])
def test_integrated_gradients_sum_to_the_difference(baseline: Any) -> None:
    model, x = se_like(), pictures(1)
    start = weights(3, SIDE, SIDE, seed=4) if baseline == "picture" else np.float32(baseline)
    there = np.broadcast_to(start, x.shape)
    how = {"baseline": start, "steps": 800}
    for target in (0, 3):
        total = raw(model, "integratedgradients", x, target, **how).sum()
        difference = (logits(model, x) - logits(model, there))[0, target]
        assert abs(total - difference) < 1e-3 * max(1, abs(difference))


def test_noise_is_decided_by_its_seed() -> None:
    model, x = classifier(), pictures(1)
    for method in ("smoothgrad", "vargrad"):
        same = [raw(model, method, x, 0, seed=3, samples=20) for _ in range(2)]
        np.testing.assert_array_equal(same[0], same[1])
        assert not np.allclose(same[0], raw(model, method, x, 0, seed=4, samples=20))


def test_smoothgrad_and_vargrad_are_mean_and_variance_of_what_saliency_is_made_of() -> None:
    model, x = classifier(), pictures(1)
    deviation = np.float32(0.3 * (x.max() - x.min()))
    noise = np.random.default_rng(5).standard_normal((18, *x.shape[1:]), dtype=np.float32)
    made = onnxcam.append_gradients(picked(model, 2), of="picked", wrt=["image"])
    session = onnxruntime.InferenceSession(made.SerializeToString())
    noisy = [x + deviation * one for one in noise]
    found = np.stack([session.run(["image_grad"], {"image": one})[0][0] for one in noisy])
    how = {"samples": 18, "noise": 0.3, "seed": 5}
    smooth, variance = np.abs(found.mean(axis=0)).max(axis=0), found.var(axis=0).max(axis=0)
    np.testing.assert_allclose(raw(model, "smoothgrad", x, 2, **how)[0], smooth, rtol=1e-4)
    np.testing.assert_allclose(raw(model, "vargrad", x, 2, **how)[0], variance, rtol=1e-3)


def picked(model: onnx.ModelProto, target: int) -> onnx.ModelProto:
    """The model with one logit alone as the output `picked`."""
    one = np.eye(CLASSES, dtype=np.float32)[target]
    model.graph.initializer.append(onnx.numpy_helper.from_array(one, "pick"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["logits", "pick"], ["picked"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("picked", 1, None))
    return model


def test_without_noise_smoothgrad_is_saliency() -> None:
    model, x = classifier(), pictures(1)
    found = raw(model, "smoothgrad", x, 1, noise=0.0, samples=3)
    np.testing.assert_allclose(found, raw(model, "saliency", x, 1), rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "parameters", "words"),
    [
        ("integratedgradients", {"rule": "simpson"}, "riemann_middle"),
        ("integratedgradients", {"steps": 0}, "at least 1"),
        ("integratedgradients", {"steps": 1, "rule": "riemann_left"}, "at least 2"),
        ("integratedgradients", {"baseline": np.nan}, "not finite"),
        ("smoothgrad", {"samples": 0}, "at least one sample"),
        ("vargrad", {"noise": -1.0}, "share of the picture's range"),
        ("lrp", {"epsilon": -0.1}, "epsilon is a number from 0 on"),
        ("lrp", {"gamma": float("nan")}, "gamma is a number from 0 on"),
    ],
)
def test_parameters_out_of_range(method: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(MethodError, match=words):
        onnxcam.Explainer(classifier(), method=method, **parameters)


def test_a_baseline_has_to_fit() -> None:
    with pytest.raises(MethodError, match=r"\(7, 7\) does not fit"):
        raw(classifier(), "integratedgradients", pictures(1), 0, baseline=np.zeros((7, 7)))


@pytest.mark.parametrize("method", ["saliency", "lrp", "vargrad"])
def test_a_layer_is_none_of_their_business(method: str) -> None:
    with pytest.raises(LayerError, match="explains the picture itself"):
        raw(classifier(), method, pictures(1), 0, layer="features")


@pytest.mark.parametrize("method", CLOSED)
def test_the_closed_ones_can_live_in_the_file(method: str) -> None:
    x = pictures(2)
    model = classifier(("n", 3, SIDE, SIDE))
    session = onnxruntime.InferenceSession(onnxcam.rewrite(model, method).SerializeToString())
    cam, target = session.run(["cam", "cam_target"], {"image": x})
    expected = onnxcam.Explainer(model, method=method).run(x, target=target[:, 0].tolist())["raw"]
    np.testing.assert_allclose(cam, expected, rtol=1e-5, atol=1e-8)
