"""Likeness to a reference picture, of models that embed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import as_float16
from graphs import SIDE, photo, pictures, write_picture
from targets.networks import classifier, two_heads
from targets.numbers import Numbers

import onnxcam
from onnxcam import Explainer, Explanation
from onnxcam.errors import TargetError
from onnxcam.runtime import Runner
from onnxcam.targets import Similarity

X = pictures(3)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(-1) / lengths)


def embedded(explainer: Explainer, picture: np.ndarray, output: str) -> np.ndarray:
    x = explainer.card.preprocess.tensor(picture, explainer.image)
    return np.asarray(explainer.run(x, target=0)[output])


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(two_heads(), preprocess="0-1")


@pytest.mark.parametrize("output", ["embedding", "kinds"])
def test_the_cosine_and_its_gradient(explainer: Explainer, output: str) -> None:
    found = Numbers(explainer, Similarity(photo(), output), X)
    expected = cosine(found.answer()[output], embedded(explainer, photo(), output))
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=1e-4)
    found.require_gradient()


def test_the_same_picture_is_most_alike(explainer: Explainer) -> None:
    same = explainer.explain(photo(), target=Similarity(photo(), "embedding"))
    other = explainer.explain(photo(seed=1), target=Similarity(photo(), "embedding"))
    assert isinstance(same, Explanation)
    assert isinstance(other, Explanation)
    assert same.target.score == pytest.approx(1, abs=1e-5)
    assert other.target.score < 1 - 1e-5
    assert np.isnan(same.target.probability)


def test_one_graph_for_all_references(explainer: Explainer, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "anna.png", photo(seed=4))
    wanted = [Similarity(photo(seed=k), "embedding") for k in (1, 2)]
    each = [*wanted, Similarity(path, "embedding")]
    together = Numbers(explainer, list(each), X)
    alone = [Numbers(explainer, one, X).score[n] for n, one in enumerate(each)]
    np.testing.assert_allclose(together.score, np.stack(alone), rtol=1e-5)
    together.require_gradient()
    found = explainer.explain(photo(), target=each[2])
    assert isinstance(found, Explanation)
    assert found.target.label == "similar to anna"
    assert found.target.key == "similar-to-anna"


def test_half_precision() -> None:
    model = classifier(batch=1)
    x = X[:1]
    single, half = (
        Numbers(Explainer(m, preprocess="0-1"), Similarity(photo()), x.astype(dtype)).gradient
        for m, dtype in ((model, np.float32), (as_float16(model), np.float16))
    )
    np.testing.assert_allclose(half, single, atol=0.03 * np.abs(single).max())


def test_a_rewritten_model_holds_its_reference(explainer: Explainer) -> None:
    wanted = Similarity(photo(), "embedding")
    made = onnxcam.rewrite(two_heads(), target=wanted, preprocess="0-1")
    runner = Runner(made)
    expected = explainer.run(X, target=wanted)["raw"]
    np.testing.assert_allclose(runner.run({"image": X})["cam"], expected, rtol=1e-4, atol=1e-7)
    reference = embedded(explainer, photo(seed=9), "embedding")
    moved = runner.run({"image": X, "cam_reference": reference})["cam"]
    other = explainer.run(X, target=Similarity(photo(seed=9), "embedding"))["raw"]
    np.testing.assert_allclose(moved, other, rtol=1e-4, atol=1e-7)


def test_what_cannot_be_compared(explainer: Explainer) -> None:
    with pytest.raises(TargetError, match="'features' is no output"):
        explainer.run(X, target=Similarity(photo(), "features"))
    with pytest.raises(TargetError, match="'embedding'"):
        explainer.run(X, target=Similarity(photo(), "embeding"))
    dead = onnx.ModelProto()
    dead.CopyFrom(two_heads())
    for tensor in dead.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor) * 0
        tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    x = np.zeros((1, 3, SIDE, SIDE), np.float32)
    with pytest.raises(TargetError, match="all zero"):
        Explainer(dead).run(x, target=Similarity(photo(), "embedding"))
