"""One unit with a Sigmoid decides between two classes: both are explained."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import photo, pictures
from targets.networks import classifier
from targets.numbers import Numbers

from onnxcam import Explainer, Explanation
from onnxcam.check import check
from onnxcam.errors import PreprocessError, TargetError
from onnxcam.graph.head import find_head
from onnxcam.graph.network import Network
from onnxcam.targets import Classes, Side, Value

X = pictures(5)


def binary() -> Explainer:
    return Explainer(classifier(1, "Sigmoid"))


def test_a_sigmoid_of_one_unit_has_two_classes() -> None:
    head = find_head(Network(classifier(1, "Sigmoid")))
    assert (head.is_binary, head.units, head.classes) == (True, 1, 2)
    head = find_head(Network(classifier(1)))
    assert (head.is_binary, head.classes) == (False, 1)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_the_classes_are_two_sides_of_one_number(score: str) -> None:
    found = Numbers(binary(), Classes((0, 1), score), X)
    p = found.answer()["scores"]
    z = np.log(p / (1 - p))
    np.testing.assert_allclose(found.score, np.hstack([-z, z]), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.probability, np.hstack([1 - p, p]), rtol=1e-5)
    found.require_gradient("cam_score" if score == "logit" else "cam_probability")
    gradient = found.gradient
    np.testing.assert_allclose(gradient[:, 0], -gradient[:, 1], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("wanted", [Classes((0, 1)), Classes((1,)), Classes((0,)), Side("no")])
def test_its_gradient(wanted: Classes) -> None:
    Numbers(binary(), wanted, X).require_gradient()


def test_the_best_class_is_the_models_decision() -> None:
    for top in (1, 2):
        found = Numbers(binary(), Classes.best(top), X)
        decided = (found.answer()["scores"] >= 0.5).astype(int)
        assert 0 < decided.sum() < len(X)
        np.testing.assert_array_equal(found.index[:, :1], decided)
    np.testing.assert_array_equal(found.index.sum(axis=1), np.ones(len(X)))


@pytest.mark.parametrize(
    ("labels", "names"), [(["cat", "dog"], ["cat", "dog"]), (["dog"], ["not dog", "dog"])]
)
def test_two_names_or_one(labels: list[str], names: list[str]) -> None:
    explainer = Explainer(classifier(1, "Sigmoid"), labels=labels, preprocess="0-1")
    for index, name in enumerate(names):
        found = explainer.explain(photo(), target=name)
        assert isinstance(found, Explanation)
        assert (found.target.index, found.target.label) == (index, name)


def test_three_names_do_not_fit() -> None:
    with pytest.raises(PreprocessError, match="3 labels for the model's 2 classes"):
        Explainer(classifier(1, "Sigmoid"), labels=["a", "b", "c"])


def test_class_2_does_not_exist() -> None:
    with pytest.raises(TargetError, match="classes 0 to 1"):
        binary().run(X, target=2)


def test_a_bare_unit_is_taken_for_a_sigmoids_on_request() -> None:
    explainer = Explainer(classifier(1))
    z = explainer.run(X)["logits"]
    for answer, sign in (("yes", 1), ("no", -1)):
        found = Numbers(explainer, Side(answer), X)
        np.testing.assert_allclose(found.score, sign * z, rtol=1e-5)
        np.testing.assert_allclose(found.probability, 1 / (1 + np.exp(-sign * z)), rtol=1e-5)
        assert (found.index == (sign + 1) // 2).all()
        found.require_gradient()
    plain = Numbers(explainer, Value(), X)
    np.testing.assert_allclose(plain.score, z, rtol=1e-6)
    np.testing.assert_allclose(Numbers(explainer, Value(sign=-1), X).score, -z, rtol=1e-6)


def test_sides_are_for_one_unit() -> None:
    with pytest.raises(TargetError, match="one of 0 to 4"):
        Explainer(classifier()).run(X, target=Side("yes"))
    with pytest.raises(TargetError, match="'yes' or 'no'"):
        Side("maybe")


def test_the_check_takes_the_unit_itself() -> None:
    report = check(classifier(1, "Sigmoid", batch=1))
    assert report.passed
    assert report.classes == 2
