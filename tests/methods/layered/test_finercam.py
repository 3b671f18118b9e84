"""Finer-CAM against the comparison worked out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from builders import classifier, ended_with, vgg_like
from graphs import CLASSES, Build, pictures
from methods.gradient.layouts import LAYOUTS
from methods.layered.tails import at_layer, softmax

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.targets import Classes, Contrast


def compared(z: np.ndarray, target: int, alpha: float, similar: int) -> float:
    """What is explained, of one picture's logits."""
    order = [j for j in np.argsort(np.abs(z - z[target]), kind="stable") if j != target][:similar]
    p = softmax(z)[order]
    return float((p * (z[target] - alpha * z[order])).sum() / p.sum())


def direction(target: int, alpha: float, similar: int) -> object:
    """Its derivative by each logit, by differences in float64."""

    def of(logits: np.ndarray) -> np.ndarray:
        z, h = logits.astype(np.float64), 1e-6
        rows = [
            [
                (
                    compared(row + h * one, target, alpha, similar)
                    - compared(row - h * one, target, alpha, similar)
                )
                / (2 * h)
                for one in np.eye(CLASSES)
            ]
            for row in z
        ]
        return np.array(rows, np.float32)

    return of


def finer(model: object, x: np.ndarray, wanted: tuple[int, ...], **options: object) -> np.ndarray:
    explainer = onnxcam.Explainer(model, "finercam", **options)
    return np.asarray(explainer.run(x, target=[Classes(wanted)] * len(x))["raw"])


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(name: str) -> None:
    layout = LAYOUTS[name]
    x, target = layout.x(2), 1
    a, gradient = at_layer(layout.make(), layout.layer, x, direction(target, 1.0, 3))
    w = layout.flat(gradient(a)).mean(-1, keepdims=True)
    expected = np.maximum((w * layout.flat(a)).sum(1), 0).reshape(-1, *layout.size)
    found = finer(layout.make(), x, (target,), layer=layout.layer)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max() + 1e-8)


@pytest.mark.parametrize(("alpha", "similar"), [(0.6, 2), (1.0, 1), (0.0, 4)])
def test_parameters_and_another_method(alpha: float, similar: int) -> None:
    x, target = pictures(), 4
    a, gradient = at_layer(vgg_like(), "features", x, direction(target, alpha, similar))
    options = {"alpha": alpha, "similar": similar, "base": "hirescam", "layer": "features"}
    found = finer(vgg_like(), x, (target,), **options)[:, 0]
    expected = (gradient(a) * a).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_several_targets_are_the_single_ones() -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(3)
    together = finer(model, x, (3, 0, 1))
    for k, one in enumerate((3, 0, 1)):
        np.testing.assert_allclose(together[:, [k]], finer(model, x, (one,)), rtol=1e-5, atol=1e-7)


def test_an_activation_behind_the_logits_changes_nothing() -> None:
    x = pictures()
    plain, activated = classifier(), ended_with("Softmax")
    np.testing.assert_allclose(finer(plain, x, (2,)), finer(activated, x, (2,)), rtol=1e-5)


def test_more_classes_than_there_are() -> None:
    model, x = classifier(), pictures()
    all_others = finer(model, x, (2,), similar=CLASSES - 1)
    np.testing.assert_array_equal(finer(model, x, (2,), similar=100), all_others)


def test_two_classes_are_compared_with_each_other() -> None:
    """Of one unit with a Sigmoid: z against -z, twice the gradient of z."""
    b = Build()
    b.conv("image", "conv1", (6, 3, 3, 3), strides=[2, 2])
    b.op("Relu", ["conv1"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logit", 6, 1)
    b.op("Sigmoid", ["logit"], "probability")
    b.output("probability", [1, 1])
    twice = 2 * onnxcam.Explainer(b.model(), "gradcam").run(pictures(), target=1)["raw"]
    found = finer(b.model(), pictures(), (1,))
    np.testing.assert_allclose(found, twice, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"alpha": np.nan}, "alpha is nan"),
        ({"similar": 0}, "0 classes"),
        ({"base": "eigencam"}, "not on 'eigencam'"),
        ({"base": "refinecam"}, "not on 'refinecam'"),
    ],
)
def test_parameters_that_make_no_sense(parameters: dict[str, object], words: str) -> None:
    with pytest.raises(MethodError, match=words):
        onnxcam.Explainer(classifier(), "finercam", **parameters)


def test_a_target_that_is_no_class_is_refused() -> None:
    explainer = onnxcam.Explainer(classifier(), "finercam")
    with pytest.raises(MethodError, match="compares classes"):
        explainer.run(pictures(), target=Contrast(1, 2))
