"""Scaling to [0, 1]: of what, and what is left where there is nothing to scale."""

from __future__ import annotations

import numpy as np
import pytest
from builders import classifier, gap_linear
from graphs import pictures, weights
from methods.gradient.layouts import LAYOUTS, Layout, watched
from methods.gradient.test_formulas import close, relu, scaled
from targets import networks

import onnxcam
from onnxcam.errors import MethodError

BOTH_SIGNS = ("both signs, pooled", "NHCW, pooled", "tokens", "NCDHW", "NHWC")


def made(layout: Layout, **parameters: bool) -> onnxcam.Explainer:
    return onnxcam.Explainer(layout.make(), "gradcam-minmax", layer=layout.layer, **parameters)


@pytest.mark.parametrize("name", BOTH_SIGNS)
def test_negative_activations_are_cut_off_when_asked(name: str) -> None:
    layout = LAYOUTS[name]
    x = layout.x(2)
    a, g = watched(layout, x, 1)
    cut = made(layout, relu=True).run(x, target=1)["raw"][:, 0]
    close(cut, scaled(relu(a), g).reshape(-1, *layout.size))
    if a.min() < 0:
        assert np.abs(cut - made(layout).run(x, target=1)["raw"][:, 0]).max() > 1e-3


def test_activations_behind_a_relu_are_not_cut_off_again() -> None:
    plain, cut = (
        onnxcam.rewrite(classifier(), "gradcam-minmax", relu=relu) for relu in (False, True)
    )
    assert [node.op_type for node in cut.graph.node] == [node.op_type for node in plain.graph.node]


def test_pictures_do_not_depend_on_their_neighbours() -> None:
    x = pictures(3) * np.array([1, 5, 0.2], np.float32)[:, None, None, None]
    explainer = onnxcam.Explainer(classifier(("n", 3, 16, 16)), "gradcam-minmax")
    together = explainer.run(x, target=2)["raw"]
    for i in range(len(x)):
        close(together[i : i + 1], explainer.run(x[i : i + 1], target=2)["raw"])


def test_a_map_lies_between_0_and_1_whatever_the_scale() -> None:
    rows, x = weights(4, 3), pictures(2, side=4)
    small, large = (
        onnxcam.Explainer(gap_linear(rows * factor, batch="n"), "gradcam-minmax").run(x, target=1)
        for factor in (1, 1e4)
    )
    assert small["raw"].min() >= 0
    assert small["raw"].max() <= 1
    close(small["raw"], large["raw"])


def test_channels_that_all_weigh_the_same_leave_nothing() -> None:
    model = gap_linear(np.ones((4, 3), np.float32), batch="n")
    raw = onnxcam.Explainer(model, "gradcam-minmax").run(pictures(1, side=4), target=1)["raw"]
    assert not raw.any()


def test_constant_activations_leave_nothing() -> None:
    model = gap_linear(weights(4, 3), batch="n")
    raw = onnxcam.Explainer(model, "gradcam-minmax").run(np.ones((1, 3, 4, 4), np.float32))["raw"]
    assert not raw.any()


def test_the_probability_of_a_unit_can_be_explained() -> None:
    """p (1 - p) scales all weights alike, and goes; which way they point does not."""
    model, x = networks.classifier(1, "Sigmoid"), pictures(2)
    maps = {
        (score, target): onnxcam.Explainer(model, "gradcam-minmax", score=score).run(x, target)
        for score in ("logit", "probability")
        for target in (0, 1)
    }
    for target in (0, 1):
        close(maps["probability", target]["raw"], maps["logit", target]["raw"])
    assert np.abs(maps["logit", 0]["raw"] - maps["logit", 1]["raw"]).max() > 0.01


def test_relu_is_a_switch() -> None:
    with pytest.raises(MethodError, match="relu"):
        onnxcam.Explainer(classifier(), "gradcam-minmax", relu=2)
