"""Why this class rather than that one."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import pictures
from targets.networks import classifier, softmax
from targets.numbers import Numbers

from onnxcam import Explainer
from onnxcam.errors import TargetError
from onnxcam.targets import REST, Classes, Contrast

X = pictures(3)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(classifier())


@pytest.fixture(scope="module")
def logits(explainer: Explainer) -> np.ndarray:
    return explainer.run(X)["logits"]


def test_of_two(explainer: Explainer, logits: np.ndarray) -> None:
    found = Numbers(explainer, Contrast(3, 1), X)
    np.testing.assert_allclose(found.score[:, 0], logits[:, 3] - logits[:, 1], rtol=1e-4)
    assert (found.index == 3).all()
    one, other = (Numbers(explainer, Classes((c,)), X).gradient for c in (3, 1))
    np.testing.assert_allclose(found.gradient, one - other, rtol=1e-4, atol=1e-7)
    found.require_gradient()


def test_of_several_it_is_against_their_mean(explainer: Explainer, logits: np.ndarray) -> None:
    found = Numbers(explainer, Contrast(3, (0, 2, 4)), X)
    expected = logits[:, 3] - logits[:, [0, 2, 4]].mean(axis=1)
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=1e-4)
    found.require_gradient()


@pytest.mark.parametrize("ending", [None, "Softmax", "LogSoftmax"])
def test_against_the_rest_it_is_the_log_odds(ending: str | None, logits: np.ndarray) -> None:
    found = Numbers(classifier(ending=ending), Contrast(3, REST), X)
    p = softmax(logits.astype(np.float64))[:, 3]
    np.testing.assert_allclose(found.score[:, 0], np.log(p / (1 - p)), rtol=1e-4)
    found.require_gradient()


def test_the_best_class_against_the_rest(explainer: Explainer, logits: np.ndarray) -> None:
    found = Numbers(explainer, Contrast(), X)
    np.testing.assert_array_equal(found.index[:, 0], logits.argmax(1))
    alone = found.target.alone(1, found.index[1])
    assert alone == Contrast(int(logits[1].argmax()), REST)


def test_of_one_unit_it_is_twice_the_logit() -> None:
    found = Numbers(classifier(1, "Sigmoid"), Contrast(1, 0), X)
    z = Numbers(classifier(1, "Sigmoid"), Classes((1,)), X).score
    np.testing.assert_allclose(found.score, 2 * z, rtol=1e-5)
    found.require_gradient()


def test_a_pair_a_picture_and_one_graph_for_all(explainer: Explainer, logits: np.ndarray) -> None:
    pairs = [(0, 1), (2, 4), (3, 0)]
    found = Numbers(explainer, [Contrast(of, against) for of, against in pairs], X)
    expected = [row[of] - row[against] for row, (of, against) in zip(logits, pairs, strict=True)]
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=1e-4)
    found.require_gradient()
    assert Contrast(0, 1).structure == Contrast(2, 4).structure
    raws = [explainer.run(X, target=Contrast(*pair))["raw"][n] for n, pair in enumerate(pairs)]
    together = explainer.run(X, target=[Contrast(*pair) for pair in pairs])["raw"]
    np.testing.assert_allclose(together, np.stack(raws), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("opset", [11, 13, 18, 22])
def test_of_every_opset(opset: int) -> None:
    for against in (1, (0, 2), REST):
        Numbers(classifier(opset=opset), Contrast(3, against), X).require_gradient()


def test_its_names() -> None:
    names = ["ant", "bee", "cat", "dog", "elk"]
    assert Contrast(3, 1).label(0, 3, names.__getitem__) == "dog - bee"
    assert Contrast(3, (0, 1)).label(0, 3, names.__getitem__) == "dog - ant, bee"
    assert Contrast(3).label(0, 3, lambda _: None) == "3 - the rest"
    assert [Contrast(3, 1).key(0, 3), Contrast(3, (0, 1)).key(0, 3)] == ["3-1", "3-0+1"]
    assert Contrast(3).key(0, 3) == "3-rest"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Contrast(5, 1), "classes 0 to 4"),
        (Contrast(1, 7), "classes 0 to 4"),
        (Contrast(1, -1), "classes 0 to 4"),
        (Contrast(1, (2, 1)), "compared with itself"),
        (Contrast(1, ()), "targets.REST"),
        (Contrast("cat", 1), "no label 'cat'"),
    ],
)
def test_a_contrast_that_makes_no_sense(target: Contrast, words: str, explainer: Explainer) -> None:
    with pytest.raises(TargetError, match=words):
        explainer.run(X, target=target)
    with pytest.raises(TargetError, match="two classes"):
        Explainer(classifier(1)).run(X, target=Contrast())
