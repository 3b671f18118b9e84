"""The classes explained, as the graph chooses them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from builders import ended_with, gap_linear
from graphs import Build, pictures
from targets.networks import classifier as smooth_classifier
from targets.numbers import Numbers

from onnxcam import Explainer
from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.head import find_head
from onnxcam.graph.network import Network
from onnxcam.targets import SCORES, Classes, require_class


def one_class(activated: bool) -> onnx.ModelProto:
    """A binary classifier with a single logit."""
    model = gap_linear(np.array([[1.0, -1.0, 0.5]]))
    if activated:
        model.graph.node.append(onnx.helper.make_node("Sigmoid", ["logits"], ["p"]))
        model.graph.output[0].name = "p"
    return model


@pytest.mark.parametrize("activated", [False, True])
def test_a_single_logit_is_a_sigmoids(activated: bool) -> None:
    x = np.abs(pictures(side=4))
    found = Explainer(one_class(activated)).run(x)
    assert found["target"].tolist() == [[int(activated)]]
    assert found["raw"].max() > 0
    explanation = Explainer(one_class(activated)).explain(np.full((4, 4), 99, np.uint8))
    expected = 1 / (1 + np.exp(-explanation.target.score))
    assert explanation.target.probability == pytest.approx(expected, rel=1e-5)


def test_sigmoid_classes_have_probabilities_of_their_own() -> None:
    found = Explainer(ended_with("Sigmoid")).explain(np.full((4, 4), 99, np.uint8), top=5)
    for one in found:
        expected = 1 / (1 + np.exp(-one.target.score))
        assert one.target.probability == pytest.approx(expected, rel=1e-4)


def test_ties_are_broken_by_the_lower_class() -> None:
    model = gap_linear(np.ones((4, 3)))
    x = np.abs(pictures(side=4))
    assert Explainer(model).run(x)["target"].tolist() == [[0]]
    assert sorted(Explainer(model).run(x, top=4)["target"][0].tolist()) == [0, 1, 2, 3]


def test_convolutional_scores_keep_their_trailing_axes() -> None:
    b = Build((1, 3, 4, 4))
    b.op("Relu", ["image"], "features")
    b.op("GlobalAveragePool", ["features"], "scores")
    b.output("scores", [1, 3, 1, 1])
    x = np.abs(pictures(side=4))
    found = Explainer(b.model()).run(x, top=2)
    for k, index in enumerate(found["target"][0]):
        np.testing.assert_allclose(found["raw"][0, k], x[0, index] / 16, rtol=1e-5)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("top", [1, 3])
def test_the_shapes_are_the_contracts(top: int, score: str) -> None:
    network = Network(gap_linear(np.eye(3), batch="n"))
    explained = Classes.best(top, score).emit(Emitter(network))
    for tensor in (explained.index, explained.score, explained.probability):
        assert tensor is not None
        assert tensor.shape == ["n", top]
    (choice,) = explained.choices
    assert choice.default.tolist() == [[-1] * top]
    assert choice.variable.dtype == np.int64


@pytest.mark.parametrize("index", [3, -1, 7])
def test_classes_that_do_not_exist(index: int) -> None:
    network = Network(gap_linear(np.eye(3)))
    with pytest.raises(TargetError, match="classes 0 to 2"):
        require_class(find_head(network), index)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("ending", [None, "Softmax", "LogSoftmax", "Sigmoid"])
def test_gradients_of_several_classes(ending: str | None, score: str) -> None:
    found = Numbers(smooth_classifier(ending=ending), Classes((0, 3), score), pictures(3))
    found.require_gradient("cam_score" if score == "logit" else "cam_probability")


@pytest.mark.parametrize("score", SCORES)
def test_gradients_of_a_class_of_each_picture(score: str) -> None:
    each = [Classes((c,), score) for c in (4, 0, 2)]
    found = Numbers(smooth_classifier(), list(each), pictures(3))
    assert found.index[:, 0].tolist() == [4, 0, 2]
    found.require_gradient("cam_score" if score == "logit" else "cam_probability")
    different = [Classes((4,)), Classes((0, 1)), Classes((2,))]
    with pytest.raises(TargetError, match="one by one"):
        Numbers(smooth_classifier(), list(different), pictures(3))


def test_changed_copies_keep_to_the_class_of_the_picture() -> None:
    found = Numbers(smooth_classifier(), Classes.best(2), pictures(3))
    index = found.index
    for n in range(3):
        alone = found.target.alone(n, index[n])
        assert alone == Classes(tuple(index[n].tolist()))
