"""Regions of segmentations, in every layout and behind every ending."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from graphs import SIDE, Build, photo, pictures, write_picture
from targets.networks import MAP_CLASSES, classifier, segmentation, softmax
from targets.numbers import Numbers

import onnxcam
from onnxcam import Explainer, Explanation
from onnxcam.errors import TargetError
from onnxcam.graph.dense_head import find_dense_head
from onnxcam.graph.network import Network
from onnxcam.methods import Searched
from onnxcam.methods.lab import Lab
from onnxcam.runtime import Runner
from onnxcam.targets import Region

HALF = SIDE // 2
X = pictures(3, seed=2)
MASK = np.zeros((HALF, HALF), bool)
MASK[2:5, 1:7] = True


def logits(x: np.ndarray = X) -> np.ndarray:
    """(N, C, h, w) of the network without an ending."""
    return np.asarray(Explainer(segmentation()).run(x, target=Region(1))["map"])


def predicted(z: np.ndarray) -> np.ndarray:
    """The commonest class of each picture, background aside."""
    counts = np.stack([(z.argmax(1) == c).sum((1, 2)) for c in range(1, MAP_CLASSES)], 1)
    return counts.argmax(1) + 1


def mean_inside(z: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return (z * inside).sum((1, 2)) / np.maximum(inside.sum((1, 2)), 1)


ENDINGS: list[tuple[tuple[str, ...], str]] = [
    ((), "map"),
    (("Softmax",), "map"),
    (("ArgMax",), "map"),
    (("Softmax", "ArgMax"), "map"),
    (("Softmax", "Resize"), "map"),
    (("Resize", "Softmax"), "map_Resize"),
    (("Resize",), "map_Resize"),
    (("Resize", "ArgMax"), "map_Resize"),
    (("Sigmoid",), "map"),
]


@pytest.mark.parametrize(("ending", "name"), ENDINGS)
@pytest.mark.parametrize("last", [False, True])
def test_the_logits_are_found(ending: tuple[str, ...], name: str, last: bool) -> None:
    head = find_dense_head(Network(segmentation(ending, last=last)))
    assert head.logits.name.replace("moved", "map") == name
    assert head.classes == MAP_CLASSES
    assert head.features.channel == (-1 if last else -3)


@pytest.mark.parametrize("ending", [(), ("Softmax",), ("ArgMax",), ("Softmax", "ArgMax")])
@pytest.mark.parametrize("last", [False, True])
def test_the_main_region_of_each_picture(ending: tuple[str, ...], last: bool) -> None:
    found = Numbers(segmentation(ending, last=last), Region(), X)
    z = logits()
    index = predicted(z)
    np.testing.assert_array_equal(found.index[:, 0], index)
    own = z.argmax(1) == index[:, None, None]
    picked = z[np.arange(len(z)), index]
    np.testing.assert_allclose(found.score[:, 0], mean_inside(picked, own), rtol=1e-4)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("opset", [11, 13, 18])
def test_the_gradient_over_a_mask(last: bool, opset: int) -> None:
    found = Numbers(segmentation(last=last, opset=opset), Region(2, mask=MASK), X)
    expected = mean_inside(logits()[:, 2], np.broadcast_to(MASK, (len(X), HALF, HALF)))
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=1e-4)
    found.require_gradient()


@pytest.mark.parametrize("ending", [("Softmax",), ("Resize", "Softmax"), ("Sigmoid",)])
def test_the_gradient_is_taken_in_front_of_the_activation(ending: tuple[str, ...]) -> None:
    Numbers(segmentation(ending), Region(2, mask=MASK), X).require_gradient()


def test_the_gradient_over_what_is_predicted() -> None:
    """The region moves with the picture, the gradient does not know: held, they agree."""
    explainer = Explainer(segmentation())
    index = predicted(logits())
    masks = logits().argmax(1) == index[:, None, None]
    wanted = [Region(int(c), mask=mask) for c, mask in zip(index, masks, strict=True)]
    held = Numbers(explainer, list(wanted), X)
    held.require_gradient()
    np.testing.assert_allclose(held.gradient, Numbers(explainer, Region(), X).gradient, atol=1e-7)


@pytest.mark.parametrize("ending", [(), ("Sigmoid",)])
@pytest.mark.parametrize("cls", [0, 1])
def test_one_channel_has_two_classes(ending: tuple[str, ...], cls: int) -> None:
    model = segmentation(ending, channels=1)
    assert find_dense_head(Network(model)).classes == 2
    z = Explainer(segmentation(channels=1)).run(X, target=Region(1))["map"][:, 0]
    sign = 2 * cls - 1
    own = (z >= 0) == bool(cls)
    found = Numbers(model, Region(cls), X)
    np.testing.assert_allclose(found.score[:, 0], sign * mean_inside(z, own), rtol=1e-4)
    assert (Numbers(model, Region(), X).index == 1).all()
    Numbers(model, Region(cls, mask=MASK), X).require_gradient()


def test_a_class_that_is_nowhere_says_so() -> None:
    b = segmentation(batch=1)
    for tensor in b.graph.initializer:
        if tensor.name == "map.bias":
            bias = np.array([0, 0, 0, -100], np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(bias, tensor.name))
    found = onnxcam.explain(b, photo(), target=Region(3), preprocess="0-1")
    assert isinstance(found, Explanation)
    assert "predicted nowhere" in found.warnings[0]
    assert found.target.score == 0


def test_any_size_of_mask_and_open_sizes() -> None:
    large = MASK.repeat(2, 0).repeat(2, 1)
    fixed, open_size = segmentation(), segmentation(side=None)
    small = Numbers(fixed, Region(2, mask=MASK), X)
    for model in (fixed, open_size):
        found = Numbers(Explainer(model, preprocess={"size": [SIDE, SIDE]}),
                        Region(2, mask=large), X)  # fmt: skip
        np.testing.assert_allclose(found.score, small.score, rtol=1e-5)
        np.testing.assert_allclose(found.gradient, small.gradient, rtol=1e-4, atol=1e-7)


def test_a_box_in_the_pictures_pixels() -> None:
    explainer = Explainer(segmentation(batch=1), preprocess="0-1")
    picture = photo(4 * SIDE, 2 * SIDE)
    mask = np.zeros((4 * SIDE, 2 * SIDE), bool)
    mask[16:40, 4:20] = True
    by_box, by_mask = (
        explainer.explain(picture, target=t)
        for t in (Region(2, box=(4, 16, 20, 40)), Region(2, mask=mask))
    )
    assert isinstance(by_box, Explanation)
    assert isinstance(by_mask, Explanation)
    x = explainer.card.preprocess.tensor(picture, explainer.image)
    expected = explainer.run(x, target=Region(1))["map"][0, 2, 2:5, 1:5].mean()
    for found in (by_box, by_mask):
        assert found.target.score == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(found.raw, by_box.raw, rtol=1e-5)
        assert found.target.index == 2
        assert np.isnan(found.target.probability)
    assert by_box.target.label == "class 2 in 4,16,20,40"
    assert by_mask.target.label == "class 2 in mask"


@pytest.mark.parametrize("resize", ["crop", "pad"])
def test_a_box_goes_through_the_preprocessing(resize: str) -> None:
    explainer = Explainer(segmentation(batch=1), preprocess={"resize": resize})
    box = (20, 8, 26, 14) if resize == "crop" else (8, 8, 20, 24)
    found = explainer.explain(photo(32, 48), target=Region(2, box=box))
    assert isinstance(found, Explanation)
    x = explainer.card.preprocess.tensor(photo(32, 48), explainer.image)
    z = explainer.run(x, target=Region(1))["map"][0, 2]
    # Of the input's pixels the crop's box touches rows 4 to 6 and columns 6 to 8, the padded one's
    # rows 2 to 8 and columns 2 to 6; the map has every second of them.
    expected = z[2:4, 3:5] if resize == "crop" else z[1:5, 1:4]
    assert found.target.score == pytest.approx(expected.mean(), rel=1e-4)


def test_a_mask_from_a_file(tmp_path: Path) -> None:
    explainer = Explainer(segmentation(batch=1), preprocess="0-1", labels=["sky", "cat", "d", "e"])
    mask = np.zeros((24, 32, 3), np.uint8)
    mask[3:12, 4:20] = 255
    path = write_picture(tmp_path / "left.png", mask)
    from_file, from_array = (
        explainer.explain(photo(), target=Region("cat", mask=m)) for m in (path, mask[..., 0])
    )
    assert isinstance(from_file, Explanation)
    assert isinstance(from_array, Explanation)
    np.testing.assert_array_equal(from_file.raw, from_array.raw)
    assert from_file.target.label == "cat in left"
    assert from_file.target.index == 1


class Twice(Searched):
    """Asks for the score of the picture and of its mirror image."""

    name = "twice"
    seen: np.ndarray

    def search(self, lab: Lab) -> np.ndarray:
        Twice.seen = lab.scores(np.concatenate([lab.x, lab.x[..., ::-1]]))
        return np.zeros((1, HALF, HALF), np.float32)


def test_changed_copies_are_asked_for_the_same_region() -> None:
    explainer = Explainer(segmentation(), method=Twice())
    explainer.run(X[:1], target=Region())
    z = logits(np.concatenate([X[:1], X[:1, ..., ::-1]]))
    index = predicted(z)[0]
    own = np.broadcast_to(z[:1].argmax(1) == index, (2, HALF, HALF))
    np.testing.assert_allclose(Twice.seen[:, 0], mean_inside(z[:, index], own), rtol=1e-4)


def test_it_is_the_usual_target_of_a_segmentation() -> None:
    explainer = Explainer(segmentation())
    usual = explainer.run(X)
    np.testing.assert_array_equal(usual["raw"], explainer.run(X, target=Region())["raw"])
    assert usual["target"].tolist() == predicted(logits())[:, None].tolist()


def test_rewritten_it_chooses_its_region_itself() -> None:
    made = onnxcam.rewrite(segmentation())
    runner = Runner(made)
    answer = runner.run({"image": X})
    expected = Explainer(segmentation()).run(X)
    np.testing.assert_allclose(answer["cam"], expected["raw"], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(answer["cam_target"], expected["target"])
    fed = {"image": X, "cam_class": np.array([[2]]), "cam_region": MASK[None].astype(np.float32)}
    masked = Explainer(segmentation()).run(X, target=Region(2, mask=MASK))
    np.testing.assert_allclose(runner.run(fed)["cam"], masked["raw"], rtol=1e-5, atol=1e-7)


def test_probabilities_agree_with_the_activation() -> None:
    """The logits in front of a Softmax are those that it makes its outputs of."""
    explainer = Explainer(segmentation(("Softmax",)))
    found = explainer.run(X, target=Region(1))
    np.testing.assert_allclose(found["map_Softmax"], softmax(logits()), rtol=1e-4)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Region(4), "classes 0 to 3"),
        (Region("cat"), "no label 'cat'"),
        (Region(1, mask=np.zeros((HALF, HALF))), "holds nothing"),
        (Region(1, box=(0, 0, 4, 4)), "a box needs a picture"),
        (Region(1, output="mask"), "no output 'mask'"),
    ],
)
def test_what_is_not_there(target: Region, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        Explainer(segmentation()).run(X, target=target)


def test_refused_with_what_the_model_offers() -> None:
    with pytest.raises(TargetError, match=r"one score a class and position.*logits \['n', 5\]"):
        Explainer(classifier()).run(X, target=Region())
    explainer = Explainer(segmentation(batch=1), preprocess="0-1")
    with pytest.raises(TargetError, match=r"16 x 16 .*this one is 24 x 32"):
        explainer.explain(photo(), target=Region(mask=np.ones((16, 16))))
    with pytest.raises(TargetError, match="holds nothing"):
        explainer.explain(photo(), target=Region(box=(100, 100, 120, 120)))
    with pytest.raises(TargetError, match="top left first"):
        Region(box=(4, 4, 4, 8))
    with pytest.raises(TargetError, match="not both"):
        Region(box=(4, 4, 5, 8), mask=MASK)


@pytest.mark.parametrize("rank", [1, 3])
def test_signals_and_volumes(rank: int) -> None:
    size = [8] * rank
    b = Build(("n", 1, *size), name="image")
    b.conv("image", "conv", (4, 1, *[3] * rank), pads=[1] * 2 * rank)
    b.op("Tanh", ["conv"], "features")
    b.conv("features", "map", (3, 4, *[1] * rank), pads=[0] * 2 * rank)
    b.op("Softmax", ["map"], "scores", axis=1)
    b.output("scores", ["n", 3, *size])
    x = np.random.default_rng(0).standard_normal((2, 1, *size)).astype(np.float32)
    mask = np.zeros(size, bool)
    mask[2:5] = True
    found = Numbers(b.model(), Region(1, mask=mask), x)
    assert found.score.shape == (2, 1)
    found.require_gradient()
    usual = Explainer(b.model()).run(x)
    assert usual["raw"].shape == (2, 1, *size)
    assert (usual["target"] > 0).all()


def test_rewritten_with_open_sizes() -> None:
    made = onnxcam.rewrite(segmentation(side=None))
    runner = Runner(made)
    for side in (16, 24):
        x = pictures(2, side=side)
        answer = runner.run({"image": x})
        assert answer["cam"].shape == (2, 1, side // 2, side // 2)
        mask = np.ones((1, 5, 7), np.float32)
        whole = runner.run({"image": x, "cam_class": np.array([[1]]), "cam_region": mask})
        assert (whole["cam_target"] == 1).all()
    expected = Explainer(segmentation(side=24)).run(x, target=Region(1, mask=np.ones((24, 24))))
    np.testing.assert_allclose(whole["cam"], expected["raw"], rtol=1e-4, atol=1e-7)
