"""Every gradient-weighted map against its formula in NumPy, on every layout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from builders import as_float16, classifier, gap_linear
from graphs import CLASSES, pictures, weights
from methods.gradient.layouts import LAYOUTS, POOLED, Layout, watched
from thinning import slow_but_one_in

import onnxcam
from onnxcam.compose import compose
from onnxcam.graph.network import Network
from onnxcam.methods import find_method
from onnxcam.methods.channels import ChannelSum
from onnxcam.runtime import Runner
from onnxcam.targets import Classes

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def averaged(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return relu((g.mean(-1, keepdims=True) * a).sum(1))


def plus_plus(a: np.ndarray, g: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    denominator = 2 * g**2 + g**3 * a.sum(-1, keepdims=True) + eps
    share = np.divide(g**2, denominator, where=g > 0, out=np.zeros_like(g))
    return relu(((share * relu(g)).sum(-1, keepdims=True) * a).sum(1))


def conserving(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    w = (g * a).sum(-1, keepdims=True) / (a.sum(-1, keepdims=True) + 1e-7)
    return (w * a).sum(1)


def unit(values: np.ndarray) -> np.ndarray:
    """Scaled to [0, 1], each picture over all its channels and positions."""
    low = values.min((1, 2), keepdims=True)
    return (values - low) / (values.max((1, 2), keepdims=True) - low)


def scaled(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return (unit(g.mean(-1, keepdims=True)) * unit(a)).mean(1)


FORMULAS: dict[str, Formula] = {
    "gradcam": averaged,
    "gradcam++": plus_plus,
    "gradcam-minmax": scaled,
    "gradcam-elementwise": lambda a, g: relu(g * a).sum(1),
    "hirescam": lambda a, g: (g * a).sum(1),
    "xgradcam": conserving,
    "layercam": lambda a, g: relu((relu(g) * a).sum(1)),
}
"""Of activations and gradients (N, C, positions)."""
SUMS = [name for name in FORMULAS if isinstance(find_method(name), ChannelSum)]
"""Those that are nothing but a sum over channels, weighted."""


def expected(method: str, layout: Layout, x: np.ndarray, target: int) -> np.ndarray:
    a, g = watched(layout, x, target)
    return FORMULAS[method](a, g).reshape(-1, *layout.size)


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("method", FORMULAS)
def test_a_map_is_its_formula(method: str, name: str) -> None:
    layout = LAYOUTS[name]
    x = layout.x(2)
    explainer = onnxcam.Explainer(layout.make(), method, layer=layout.layer)
    largest = 0.0
    for target in (0, 3):
        raw = explainer.run(x, target=target)["raw"]
        close(raw[:, 0], expected(method, layout, x, target))
        largest = max(largest, float(np.abs(raw).max()))
    assert largest > 1e-4


@pytest.mark.parametrize(
    ("method", "name"),
    slow_but_one_in(
        2,
        [(method, name) for method in FORMULAS for name in LAYOUTS]
        + [("cam", f"{name}, pooled") for name in POOLED],
    ),
)
def test_several_targets_are_each_by_itself(method: str, name: str) -> None:
    layout = LAYOUTS[name]
    x = layout.x(2)
    explainer = onnxcam.Explainer(layout.make(), method, layer=layout.layer)
    several = explainer.run(x, top=3)
    assert several["raw"].shape == (len(x), 3, *layout.size)
    for k in range(3):
        single = explainer.run(x, target=several["target"][:, k].tolist())["raw"]
        close(several["raw"][:, k], single[:, 0])


@pytest.mark.parametrize("opset", [11, 12, 13, 18])
@pytest.mark.parametrize("method", [*FORMULAS, "cam"])
def test_a_rewritten_model_carries_the_map(method: str, opset: int) -> None:
    model = classifier(("n", 3, 16, 16), opset=opset)
    x = pictures(3)
    made = onnxcam.rewrite(model, method, top=2)
    onnx.checker.check_model(made, full_check=True)
    cam = Runner(made).run({"image": x})["cam"]
    close(cam, onnxcam.Explainer(model, method).run(x, top=2)["raw"])


@pytest.mark.parametrize("layer", ["features", "relu1"])
@pytest.mark.parametrize("method", FORMULAS)
def test_a_rewritten_model_may_leave_every_size_open(method: str, layer: str) -> None:
    made = onnxcam.rewrite(classifier(("n", 3, "h", "w")), method, layer=layer, top=2)
    runner = Runner(made)
    for shape in ((2, 3, 16, 16), (1, 3, 20, 12)):
        x = pictures(2, side=20)[: shape[0], :, : shape[2], : shape[3]]
        fixed = onnxcam.Explainer(classifier(shape), method, layer=layer)
        close(runner.run({"image": x})["cam"], fixed.run(x, top=2)["raw"])


@pytest.mark.parametrize("method", [*FORMULAS, "cam"])
def test_half_precision_models_give_float32_maps(method: str) -> None:
    model = classifier()
    wanted = onnxcam.Explainer(model, method).run(pictures(), target=1)["raw"]
    half = onnxcam.Explainer(as_float16(model), method)
    raw = half.run(pictures().astype(np.float16), target=1)["raw"]
    assert raw.dtype == np.float32
    np.testing.assert_allclose(raw, wanted, atol=2e-2 * np.abs(wanted).max())


@pytest.mark.parametrize("name", POOLED)
def test_where_an_average_feeds_the_classifier_the_maps_are_one(name: str) -> None:
    """CAM = positions x Grad-CAM, and HiResCAM = XGrad-CAM = CAM / positions, signs and all."""
    layout = POOLED[name]
    x = layout.x(2)
    found = {
        method: onnxcam.Explainer(layout.make(), method, layer=layout.layer).run(x, target=2)["raw"]
        for method in ("cam", "gradcam", "hirescam", "xgradcam")
    }
    close(found["xgradcam"], found["hirescam"])
    close(found["cam"], found["hirescam"] * np.prod(layout.size))
    close(found["gradcam"], relu(found["hirescam"]))


def test_cam_is_weighted_by_the_classifiers_row() -> None:
    rows = weights(4, 3)
    x = relu(pictures(2, side=4))
    raw = onnxcam.Explainer(gap_linear(rows, batch="n"), "cam").run(x, target=[1, 3])["raw"]
    close(raw[:, 0], np.einsum("nc,nchw->nhw", rows[[1, 3]], x))


def test_hirescam_adds_up_to_the_logit_but_for_the_bias() -> None:
    rows, bias = weights(4, 3), weights(4, seed=1)
    x = pictures(2, side=4)
    answer = onnxcam.Explainer(gap_linear(rows, batch="n", bias=bias), "hirescam").run(x, target=2)
    close(answer["raw"].sum(axis=(2, 3))[:, 0], answer["logits"][:, 2] - bias[2])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("method", SUMS)
def test_a_map_is_the_sum_of_what_is_weighted(method: str, name: str) -> None:
    layout = LAYOUTS[name]
    x = layout.x(2)
    chosen = find_method(method)
    assert isinstance(chosen, ChannelSum)
    made = compose(Network(layout.make()), chosen, layout.layer, Classes((2,)))
    parts = chosen.weighted(made.scene)
    answer = Runner(made.model({"map": made.raw, "parts": parts})).run({"image": x})
    order = (0, layout.channel, *layout.spatial)
    summed = answer["parts"].transpose(order).sum(axis=1).reshape(answer["map"][:, 0].shape)
    close(relu(answer["map"][:, 0]), relu(summed))


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_paper_has_no_eps(name: str) -> None:
    layout = LAYOUTS[name]
    x = layout.x(2)
    explainer = onnxcam.Explainer(layout.make(), "gradcam++", layer=layout.layer, eps=0.0)
    a, g = watched(layout, x, 1)
    wanted = plus_plus(a, g, eps=0).reshape(-1, *layout.size)
    close(explainer.run(x, target=1)["raw"][:, 0], wanted)


def test_every_class_has_its_own_map() -> None:
    """The comparisons above would not notice one that does not depend on the target."""
    for method in FORMULAS:
        raw = onnxcam.Explainer(classifier(), method).run(pictures(), top=CLASSES)["raw"][0]
        assert len({one.tobytes() for one in raw}) == CLASSES
