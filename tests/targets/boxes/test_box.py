"""Boxes as somebody asks for them: by rank, class, place or words; and in a rewritten file."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from graphs import photo, write_picture
from targets.boxes.detectors import CLASSES, SIDE, batch, detr, suppressed, yolov8
from targets.boxes.reference import found, overlap

import onnxcam
from onnxcam import Explainer, Explanation
from onnxcam.cli import main
from onnxcam.errors import ModelError, TargetError
from onnxcam.graph.head import find_head
from onnxcam.graph.network import Network
from onnxcam.methods import Searched
from onnxcam.methods.lab import Lab
from onnxcam.runtime import Runner
from onnxcam.targets import Box
from onnxcam.targets.boxes import parse_box
from onnxcam.targets.usual import class_count

NAMES = ["cat", "dog", "a:b"]
PREPROCESS = {"scale": 1 / 64, "mean": 2.0, "resize": "pad"}


def explainer(model: onnx.ModelProto | None = None, method: str = "hirescam") -> Explainer:
    return Explainer(model or yolov8(), method, preprocess=PREPROCESS, labels=NAMES)


def one(
    target: str | Box, picture: np.ndarray, model: onnx.ModelProto | None = None
) -> Explanation:
    explanation = explainer(model).explain(picture, target=target)
    assert isinstance(explanation, Explanation)
    return explanation


def place(explanation: Explanation) -> tuple[float, float, float, float]:
    assert explanation.target.box is not None
    x1, y1, x2, y2 = explanation.target.box
    return x1, y1, x2, y2


@pytest.mark.parametrize(
    ("words", "box"),
    [
        ("", Box()),
        ("0", Box()),
        ("2", Box(rank=2)),
        ("dog", Box("dog")),
        ("dog:1", Box("dog", 1)),
        ("a:b", Box("a:b")),
        ("2:1", Box(2, 1)),
        ("1,2,30.5,40", Box(at=(1, 2, 30.5, 40))),
        ("0/x1", Box(what="x1")),
        ("dog:1/area", Box("dog", 1, what="area")),
        ("either/or", Box("either/or")),
    ],
)
def test_words(words: str, box: Box) -> None:
    assert parse_box(words) == box


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("1,2,3", "x1,y1,x2,y2"),
        ("5,5,1,9", "is empty"),
        ("-1", "does not exist"),
        ("dog:-1", "does not exist"),
    ],
)
def test_words_that_make_no_box(words: str, error: str) -> None:
    with pytest.raises(TargetError, match=error):
        parse_box(words)


@pytest.mark.parametrize(
    "wrong", [{"what": "colour"}, {"at": (0, 0, 4, 4), "rank": 1}, {"count": 0}]
)
def test_boxes_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(TargetError):
        Box(**wrong)  # type: ignore[arg-type]


def test_a_box_is_in_the_pictures_pixels() -> None:
    """A picture of 64 x 128 fills the upper half of the input, at a quarter of its size."""
    picture = photo(64, 128)
    explainer_ = explainer()
    (best,) = [explainer_.explain(picture)]
    assert isinstance(best, Explanation)
    x = explainer_.card.preprocess.tensor(picture, explainer_.image)
    expected = found("yolov8", yolov8(batch=1), x)
    row, cls = expected.detections(0)[0]
    assert best.target.index == cls
    assert best.target.label == NAMES[cls]
    assert best.target.box is not None
    np.testing.assert_allclose(best.target.box, expected.boxes[0, row] * 4, rtol=1e-3, atol=1e-3)
    assert best.target.key == f"{cls}.box-0"


def test_a_place_finds_the_detection_there() -> None:
    picture = photo(64, 128)
    others = explainer().explain(picture, top=3)
    assert isinstance(others, list)
    for other in others:
        assert other.target.box is not None
        again = one(Box(other.target.index, at=place(other)), picture)
        assert again.target.box is not None
        shared = overlap(np.array(again.target.box), np.array(other.target.box))
        assert shared > 0.5
        assert again.target.probability >= other.target.probability - 1e-5
        np.testing.assert_allclose(
            again.raw, one(Box(at=place(again)), picture).raw, rtol=1e-3, atol=1e-6
        )


def test_the_words_of_a_class_and_of_its_place() -> None:
    picture = photo(32, 32)
    dog = one("box:dog", picture)
    assert (dog.target.label, dog.target.index) == ("dog", 1)
    wide = one("box:dog/width", picture)
    assert wide.target.label == "width of dog"
    assert dog.target.box is not None
    assert wide.target.score == pytest.approx(dog.target.box[2] - dog.target.box[0], rel=1e-4)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Box(3), "classes 0 to 2"),
        ("box:cow", "cow"),
        ("box:-90,-90,-80,-80", "overlaps the box"),
        ("box:60", "no detection 60 in"),
        ("box:dog:60", "no detection 60 of class 'dog'"),
    ],
)
def test_what_is_not_there_is_refused(target: str | Box, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        asked().explain(photo(32, 32), target=target)


@cache
def asked() -> Explainer:
    """One for all refusals: looking for a detection far behind takes a large graph."""
    return explainer()


def test_a_detector_gives_the_picture_no_classes() -> None:
    network = Network(suppressed())
    with pytest.raises(ModelError, match="--target box"):
        find_head(network)
    assert class_count(network) == CLASSES
    with pytest.raises(ModelError, match="--target box"):
        explainer().explain(photo(32, 32), target=1)


class Probe(Searched):
    """What a method that runs the model many times is told of a box."""

    name, title, formula, paper, needs, cost = "probe", "", "", "", ("forward only",), "1"

    def search(self, lab: Lab) -> np.ndarray:
        shifted = np.roll(lab.x, 8, axis=-1)
        there, moved = lab.scores(np.concatenate([lab.x, shifted]))
        np.testing.assert_allclose(there, lab.score, rtol=1e-4)
        return np.stack([np.full((2, 2), value, np.float32) for value in moved])


def test_changed_pictures_are_asked_for_the_same_row() -> None:
    x = batch(1)
    raw = Explainer(yolov8(), Probe()).run(x, top=2)["raw"]
    here = found("yolov8", yolov8(), x)
    moved = found("yolov8", yolov8(), np.roll(x, 8, axis=-1))
    for k, (row, cls) in enumerate(here.detections(0)[:2]):
        np.testing.assert_allclose(raw[0, k], moved.scores[0, row, cls], rtol=1e-3)


@pytest.mark.parametrize("make", [yolov8, detr, suppressed])
def test_a_rewritten_detector_explains_its_best_box(make: object) -> None:
    assert callable(make)
    model = make()
    x = batch(2)
    rewritten = onnxcam.rewrite(model, method="hirescam", top=2)
    onnx.checker.check_model(rewritten, full_check=True)
    answer = Runner(rewritten).run({"image": x})
    for name, value in Runner(model).run({"image": x}).items():
        np.testing.assert_array_equal(answer[name], value)
    expected = Explainer(model, method="hirescam").run(x, top=2)
    np.testing.assert_allclose(answer["cam"], expected["raw"], rtol=1e-4, atol=1e-6)
    assert answer["cam_box"].shape == (2, 2, 4)
    assert answer["cam_target"].tolist() == expected["target"].tolist()


def test_a_rewritten_detector_takes_a_row_a_class_or_a_place() -> None:
    x = batch(1)
    expected = found("yolov8", yolov8(), x)
    runner = Runner(onnxcam.rewrite(yolov8(), method="hirescam"))
    by_row = runner.run({"image": x, "cam_row": np.array([[17]]), "cam_class": np.array([[2]])})
    np.testing.assert_allclose(by_row["cam_box"][0, 0], expected.boxes[0, 17], rtol=1e-4)
    assert by_row["cam_target"].tolist() == [[2]]
    place = expected.boxes[0, 40].astype(np.float32)
    by_place = runner.run({"image": x, "cam_place": place[None, None]})
    assert overlap(by_place["cam_box"][0, 0], place) >= 0.5
    baked = Runner(onnxcam.rewrite(yolov8(), method="hirescam", target=Box(1)))
    assert baked.run({"image": x})["cam_target"].tolist() == [[1]]


def test_the_command_line(tmp_path: Path) -> None:
    model, picture = tmp_path / "detector.onnx", write_picture(tmp_path / "p.png", photo(48, 48))
    onnx.save(yolov8(), model)
    pre = tmp_path / "pre.json"
    pre.write_text(json.dumps(PREPROCESS))
    words = ["--target", "box:0", "--target", "box:2:0", "--target", "box:0/x1"]
    where = ["-o", str(tmp_path / "out"), "--preprocess", str(pre), "--json"]
    ran = CliRunner().invoke(main, ["explain", str(model), str(picture), *words, *where])
    assert ran.exit_code == 0, ran.stderr
    entries = json.loads(ran.stdout)
    assert len({entry["overlay"] for entry in entries}) == 3
    assert all(Path(entry["overlay"]).is_file() for entry in entries)
    assert entries[1]["target"]["index"] == 2
    x1, _, x2, _ = entries[0]["target"]["box"]
    assert -SIDE < x1 < x2 < 3 * SIDE
    assert entries[2]["target"]["score"] == pytest.approx(x1 * SIDE / 48, rel=1e-4)


def test_labels_are_counted() -> None:
    assert len(NAMES) == CLASSES
    with pytest.raises(onnxcam.OnnxCamError, match="3 classes"):
        Explainer(yolov8(), labels=["a", "b"])
