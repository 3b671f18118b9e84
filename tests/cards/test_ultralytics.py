"""What Ultralytics writes into its ONNX files."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cards.documents import exactly, names, read, refused

from onnxcam.cards import ultralytics
from onnxcam.cards.document import Document
from onnxcam.preprocess import Preprocess

DETECTOR = {
    "description": "Ultralytics YOLOv8n model trained on coco.yaml",
    "author": "Ultralytics",
    "date": "2024-05-02T11:28:21.231024",
    "version": "8.2.5",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)",
    "stride": "32",
    "task": "detect",
    "batch": "1",
    "imgsz": "[480, 640]",
    "names": "{0: 'person', 1: \"dog's\"}",
}
LETTERBOX = Preprocess(
    size=(480, 640), resize="pad", pad_at="center", pad_value=114, interpolation="linear"
)


def test_a_detector_letterboxes() -> None:
    assert exactly(ultralytics, DETECTOR) == LETTERBOX
    assert names(ultralytics, DETECTOR) == ["person", "dog's"]


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_so_do_its_relatives(task: str) -> None:
    assert exactly(ultralytics, DETECTOR | {"task": task}) == LETTERBOX


def test_rt_detr_stretches() -> None:
    content = DETECTOR | {"description": "Ultralytics rtdetr-l model"}
    stretched = Preprocess(size=(480, 640), interpolation="linear")
    assert exactly(ultralytics, content) == stretched


def test_a_classifier_crops() -> None:
    content = DETECTOR | {"task": "classify", "imgsz": "[224, 224]"}
    wanted = Preprocess(size=(224, 224), resize="crop", interpolation="pil-linear")
    assert exactly(ultralytics, content) == wanted
    del content["imgsz"]
    assert exactly(ultralytics, content) == wanted


def test_names_alone_are_said_to_be_assumed() -> None:
    found = read(ultralytics, {"stride": "32", "names": "{0: 'cat'}"})
    assert found.preprocess == replace(LETTERBOX, size=(640, 640))
    assert "as Ultralytics trains" in found.assumed[0]


@pytest.mark.parametrize("text", ["", "cat, dog", "{'a': 1}", "{0: 'cat', 5: 'dog'}", "{0: f()}"])
def test_other_names_are_left_alone(text: str) -> None:
    assert names(ultralytics, {"names": text}) is None


@pytest.mark.parametrize("size", ["[640, 640", "[0, 640]", "[1, 2, 3]", "large"])
def test_a_size_that_is_none(size: str) -> None:
    refused(ultralytics, DETECTOR | {"imgsz": size}, "imgsz")


def test_metadata_of_others() -> None:
    assert ultralytics.settings(Document("the/file", {"author": "somebody"})) is None
