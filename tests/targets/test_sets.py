"""All classes, several of one picture, and those that a multi-label model finds present."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import CLASSES, photo, pictures
from targets.networks import classifier, two_heads
from targets.numbers import Numbers

from onnxcam import Explainer, streaming
from onnxcam.errors import ModelError, TargetError
from onnxcam.targets import BEST, All, Classes, Present
from onnxcam.targets.classes import in_parts, together

X = pictures(3)


def test_all_classes_are_each_alone() -> None:
    one = Explainer(classifier())
    every = one.run(X, target=All())
    assert every["target"].tolist() == [list(range(CLASSES))] * len(X)
    for c in range(CLASSES):
        alone = one.run(X, target=c)["raw"][:, 0]
        np.testing.assert_allclose(every["raw"][:, c], alone, rtol=1e-4, atol=1e-7)
    Numbers(one, All(), X).require_gradient()


def test_many_classes_are_explained_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Explainer(classifier(batch=1), preprocess="0-1")
    whole = one.explain(photo(), target="all")
    monkeypatch.setattr(streaming, "TOGETHER", 2)
    parts = one.explain(photo(), target="all")
    assert isinstance(whole, list)
    assert isinstance(parts, list)
    assert [p.target.index for p in parts] == list(range(CLASSES))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a.raw, b.raw, rtol=1e-4, atol=1e-7)
    assert in_parts(Classes((BEST,) * 5), 2) == [Classes((BEST,) * 5)]


def test_several_classes_of_one_picture() -> None:
    one = Explainer(classifier())
    found = one.run(X, target=Classes((3, 1)))
    assert found["target"].tolist() == [[3, 1]] * len(X)
    np.testing.assert_allclose(
        found["raw"][:, 1], one.run(X, target=1)["raw"][:, 0], rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("ending", ["Sigmoid", None])
def test_present_is_what_exceeds_the_threshold(ending: str | None) -> None:
    one = Explainer(classifier(ending=ending))
    output = one.run(X[:1], target=0)["scores" if ending else "logits"][0]
    p = output if ending else 1 / (1 + np.exp(-output))
    threshold = float(np.sort(p)[[1, 2]].mean())
    found = Numbers(one, Present(threshold), X[:1])
    expected = [int(c) for c in np.argsort(-p) if p[c] > threshold]
    assert found.index[0].tolist() == expected
    np.testing.assert_allclose(found.probability[0], p[expected], rtol=1e-4)
    found.require_gradient()


def test_what_cannot_be_present() -> None:
    one = Explainer(classifier(ending="Sigmoid"))
    with pytest.raises(TargetError, match=r"exceeds 0.99; the highest is 0\.\d+, of class \d"):
        one.run(X[:1], target=Present(0.99))
    with pytest.raises(TargetError, match="share a Softmax"):
        Explainer(classifier(ending="Softmax")).run(X, target=Present())
    with pytest.raises(TargetError, match="no probability"):
        Present(1.5)
    p = one.run(X, target=0)["scores"]
    ordered = np.sort(p.ravel())
    for threshold in (ordered[:-1] + ordered[1:]) / 2:
        counts = (p > threshold).sum(1)
        if counts.min() > 0 and len(set(counts)) > 1:
            with pytest.raises(TargetError, match="one by one"):
                one.run(X, target=Present(float(threshold)))
            return
    raise AssertionError("no threshold tells the pictures apart")


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_classes_of_another_output(score: str) -> None:
    one = Explainer(two_heads())
    found = Numbers(one, Classes((2, 0), score, "colours"), X)
    p = found.answer()["colours"]
    np.testing.assert_allclose(found.probability, p[:, [2, 0]], rtol=1e-5)
    found.require_gradient("cam_score" if score == "logit" else "cam_probability")
    assert one.run(X, target=Classes(output="colours"))["target"].tolist() == (
        p.argmax(1)[:, None].tolist()
    )
    with pytest.raises(TargetError, match="classes 0 to 2"):
        one.run(X, target=Classes((3,), output="colours"))
    with pytest.raises(ModelError, match="no output 'colour'; did you mean 'colours'"):
        one.run(X, target=Classes((1,), output="colour"))


def test_neighbouring_classes_are_joined() -> None:
    found = together([Classes((1,)), Classes((3,)), All(), Classes((2,)), Classes((BEST,))])
    assert found == [Classes((1, 3)), All(), Classes((2,)), Classes((BEST,))]
    apart = [Classes((1,)), Classes((3,), "probability")]
    assert together(apart) == apart
