"""`explain` and `run`: shapes, targets, batches and the less usual models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import (
    annotated,
    as_float16,
    channels_last,
    classifier,
    ended_with,
    paddle_like,
    torch_like,
    two_inputs,
    two_outputs,
    vit_like,
)
from graphs import CLASSES, SIDE, photo, pictures, write_picture

import onnxcam
from onnxcam import Explainer, Explanation
from onnxcam.errors import ExecutionError, ImageError, TargetError

NAMES = ["ant", "bee", "cat", "dog", "elk"]


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(torch_like(), preprocess="0-1", labels=NAMES)


# -- explain ----------------------------------------------------------------------------------


def test_one_picture_and_one_class_give_one_explanation(explainer: Explainer) -> None:
    found = explainer.explain(photo())
    assert isinstance(found, Explanation)
    assert found.heatmap.shape == (SIDE, SIDE)
    assert found.heatmap.dtype == np.float32
    assert 0 <= found.heatmap.min() < found.heatmap.max() <= 1
    assert found.raw.shape == (8, 8)
    assert found.raw.dtype == np.float32
    assert found.target.label == NAMES[found.target.index]
    assert 0 < found.target.probability < 1
    assert (found.layer, found.method, found.warnings) == ("features", "gradcam", [])
    assert found.provider == "CPUExecutionProvider"
    assert found.image is None


def test_the_scores_are_the_models(explainer: Explainer) -> None:
    x = explainer.card.preprocess.tensor(photo(), explainer.image)
    logits = explainer.run(x)["logits"][0].astype(np.float64)
    found = explainer.explain(photo(), top=CLASSES)
    assert isinstance(found, list)
    e = np.exp(logits - logits.max())
    for one in found:
        assert one.target.score == pytest.approx(logits[one.target.index], rel=1e-5)
        assert one.target.probability == pytest.approx((e / e.sum())[one.target.index], rel=1e-4)
    assert sum(one.target.probability for one in found) == pytest.approx(1, abs=1e-5)


def test_several_classes_come_best_first(explainer: Explainer) -> None:
    found = explainer.explain(photo(), top=3)
    assert isinstance(found, list)
    scores = [one.target.score for one in found]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_a_list_gives_a_list(explainer: Explainer, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", photo(seed=1))
    found = explainer.explain([photo(), path, str(path)])
    assert isinstance(found, list)
    assert [one.image for one in found] == [None, str(path), str(path)]
    assert explainer.explain([photo()]) != []
    assert explainer.explain([]) == []
    np.testing.assert_array_equal(found[1].raw, found[2].raw)
    np.testing.assert_array_equal(found[1].source, photo(seed=1))


def test_pictures_and_classes_come_picture_by_picture(explainer: Explainer) -> None:
    found = explainer.explain([photo(seed=0), photo(seed=1)], top=2)
    assert isinstance(found, list)
    for k, one in enumerate(found):
        np.testing.assert_array_equal(one.source, photo(seed=k // 2))


@pytest.mark.parametrize(
    ("target", "indices"),
    [
        (3, [3, 3]),
        (np.int64(3), [3, 3]),
        ("dog", [3, 3]),
        ("DOG", [3, 3]),
        ("3", [3, 3]),
        ([3, 1], [3, 1]),
        (["dog", 1], [3, 1]),
        (np.array([3, 1]), [3, 1]),
        (("dog", "bee"), [3, 1]),
    ],
    ids=str,
)
def test_a_target_in_every_form(target: object, indices: list[int], explainer: Explainer) -> None:
    found = explainer.explain([photo(), photo()], target)
    assert isinstance(found, list)
    assert [one.target.index for one in found] == indices


def test_a_label_that_looks_like_a_number_goes_before_the_number() -> None:
    explainer = Explainer(classifier(), preprocess="0-1", labels=["0", "180", "1", "x", "y"])
    for target, index in (("180", 1), ("1", 2), ("4", 4), (1, 1)):
        found = explainer.explain(photo(), target)
        assert isinstance(found, Explanation)
        assert found.target.index == index


@pytest.mark.parametrize(
    ("target", "top", "words"),
    [
        (5, 1, "classes 0 to 4"),
        (-1, 1, "classes 0 to 4"),
        ([1], 1, "1 targets for 2 pictures"),
        ([1, 2, 3], 1, "3 targets for 2 pictures"),
        ([1, 5], 1, "class 5"),
        ("cta", 1, "'cat'"),
        (1, 2, "not both"),
        (None, 0, "out of range"),
        (None, -3, "out of range"),
        (None, 6, "out of range"),
        (None, 10**15, "out of range"),
    ],
)
def test_a_target_that_is_not_there(
    target: object, top: int, words: str, explainer: Explainer
) -> None:
    with pytest.raises(TargetError, match=words):
        explainer.explain([photo(), photo()], target, top)


@pytest.mark.parametrize(
    "model",
    [
        classifier,
        channels_last,
        paddle_like,
        vit_like,
        two_outputs,
        lambda: as_float16(classifier()),
        lambda: classifier((1, 1, 16, 16), channels=1),
        lambda: classifier((1, 4, 16, 16), channels=4),
        lambda: ended_with("Sigmoid"),
        lambda: ended_with("LogSoftmax", ["ArgMax"]),
    ],
)
def test_every_kind_of_model_gets_a_map(model: Callable[[], onnx.ModelProto]) -> None:
    found = onnxcam.explain(model(), photo())
    assert isinstance(found, Explanation)
    assert found.warnings == []
    assert 0.5 < found.heatmap.max() <= 1
    assert found.overlay().shape == photo().shape


def test_a_fixed_batch_size_is_filled() -> None:
    model = classifier((4, 3, SIDE, SIDE))
    single = onnxcam.explain(classifier(), photo(), top=2)
    found = onnxcam.explain(model, [photo(), photo(seed=1)], top=2)
    assert len(found) == 4
    for a, b in zip(single, found[:2], strict=True):
        np.testing.assert_allclose(a.raw, b.raw, rtol=1e-5, atol=1e-7)


def test_an_open_size_is_fixed_to_the_cards() -> None:
    model = annotated(classifier(("n", 3, "h", "w")), preprocess='{"size": [24, 40]}')
    found = onnxcam.explain(model, photo())
    assert isinstance(found, Explanation)
    assert found.input_size == (24, 40)
    assert found.heatmap.shape == (24, 40)
    assert found.raw.shape == (12, 20)


def test_the_layer_is_chosen() -> None:
    found = onnxcam.explain(torch_like(), photo(), layer="stem.act")
    assert isinstance(found, Explanation)
    assert found.layer == "relu1"


def test_one_session_serves_any_number_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxcam.programs as module

    made: list[object] = []
    real = module.Runner

    def counted(*arguments: object) -> object:
        made.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, "Runner", counted)
    explainer = Explainer(torch_like(), preprocess="0-1")
    explainer.explain([photo(seed=k) for k in range(4)], top=3)
    assert len(made) == 1


def test_a_broken_picture_is_an_image_error(explainer: Explainer, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such picture"):
        explainer.explain(tmp_path / "none.png")


# -- run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "top"), [(1, 1), (3, 1), (1, 2), (3, 2)])
def test_run_gives_arrays_by_name(count: int, top: int, explainer: Explainer) -> None:
    answer = explainer.run(pictures(count), top=top)
    assert set(answer) == {"raw", "target", "logits"}
    assert answer["raw"].shape == (count, top, 8, 8)
    assert answer["raw"].dtype == np.float32
    assert answer["target"].shape == (count, top)
    assert answer["target"].dtype == np.int64
    assert answer["logits"].shape == (count, CLASSES)


def test_run_takes_a_target_for_each_picture(explainer: Explainer) -> None:
    answer = explainer.run(pictures(3), target=[4, "ant", 2])
    np.testing.assert_array_equal(answer["target"], [[4], [0], [2]])


def test_run_gives_every_output_of_the_model() -> None:
    answer = Explainer(two_outputs()).run(pictures(2))
    assert answer["features"].shape == (2, 8, 8, 8)


def test_run_and_explain_agree(explainer: Explainer) -> None:
    x = explainer.card.preprocess.tensor(photo(), explainer.image)
    found = explainer.explain(photo(), target=2)
    assert isinstance(found, Explanation)
    np.testing.assert_array_equal(explainer.run(x, target=2)["raw"][0, 0], found.raw)


def test_a_model_with_more_inputs_is_run_with_all_of_them() -> None:
    explainer = Explainer(two_inputs())
    feeds = {"image": pictures(2), "gain": np.array([2.0], np.float32)}
    doubled = explainer.run(feeds, target=1)
    single = explainer.run(feeds | {"gain": np.array([1.0], np.float32)}, target=1)
    np.testing.assert_allclose(doubled["raw"], 2 * single["raw"], rtol=1e-5)
    with pytest.raises(ExecutionError, match="gain"):
        explainer.run(pictures(2))
    with pytest.raises(ExecutionError, match="lack the model's input 'image'"):
        explainer.run({"gain": feeds["gain"]})
    with pytest.raises(ExecutionError, match=r"use Explainer\.run"):
        explainer.explain(photo())


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((1, 3, 8, 8), np.float32),
        np.zeros((1, 3, 16, 16)),
        np.zeros((3, 16, 16), np.float32),
    ],
    ids=["size", "type", "rank"],
)
def test_a_tensor_that_does_not_fit_is_one_line(x: np.ndarray, explainer: Explainer) -> None:
    with pytest.raises(ExecutionError) as raised:
        explainer.run(x)
    assert "\n" not in str(raised.value)


def test_the_probability_can_be_explained_instead() -> None:
    x = pictures(1)
    logit, probability = (
        Explainer(classifier(), score=score).run(x, target=2)["raw"]
        for score in ("logit", "probability")
    )
    assert np.abs(logit / logit.max() - probability / probability.max()).max() > 1e-3


def test_a_label_list_of_the_wrong_length_is_refused() -> None:
    """Shifted names would be silently wrong ones."""
    with pytest.raises(onnxcam.PreprocessError, match="3 labels for the model's"):
        Explainer(torch_like(), labels=["a", "b", "c"])


def test_an_empty_list_of_layers_is_refused() -> None:
    explainer = Explainer(torch_like(), layer=[])
    with pytest.raises(onnxcam.LayerError, match="the list of layers is empty"):
        _ = explainer.layer
