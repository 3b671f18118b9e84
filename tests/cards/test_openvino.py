"""`model_info`, as OpenVINO's Model API and Training Extensions write it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cards.documents import exactly, names, read, refused

from onnxcam.cards import openvino
from onnxcam.cards.document import Document
from onnxcam.preprocess import Preprocess

CLASSIFIER = {
    "model_info model_type": "Classification",
    "model_info mean_values": "123.675 116.28 103.53",
    "model_info scale_values": "58.395 57.12 57.375",
    "model_info reverse_input_channels": "True",
    "model_info resize_type": "standard",
    "model_info labels": "cat Egyptian_cat dog",
}
DETECTOR = {
    "model_info resize_type": "fit_to_window_letterbox",
    "model_info pad_value": "114",
    "model_info scale_values": "255",
    "model_info reverse_input_channels": "YES",
    "model_info orig_height": "416",
    "model_info orig_width": "640",
}


def test_a_classifier() -> None:
    wanted = Preprocess(
        scale=1.0,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        interpolation="linear",
    )
    assert exactly(openvino, CLASSIFIER) == wanted
    assert names(openvino, CLASSIFIER) == ["cat", "Egyptian cat", "dog"]


def test_a_detector_letterboxes() -> None:
    wanted = Preprocess(
        scale=1.0,
        std=255.0,
        size=(416, 640),
        resize="pad",
        pad_at="center",
        pad_value=114,
        interpolation="linear",
    )
    assert exactly(openvino, DETECTOR) == wanted


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("standard", {}),
        ("crop", {"resize": "crop"}),
        ("fit_to_window", {"resize": "pad", "pad_value": 0.0}),
        ("fit_to_window_letterbox", {"resize": "pad", "pad_value": 0.0, "pad_at": "center"}),
    ],
)
def test_ways_to_resize(kind: str, fields: dict[str, object]) -> None:
    wanted = Preprocess(scale=1.0, color="bgr", interpolation="linear", **fields)  # type: ignore[arg-type]
    assert exactly(openvino, {"model_info resize_type": kind}) == wanted


@pytest.mark.parametrize(
    ("version", "turned", "color"),
    [(None, "False", "bgr"), (None, "True", "rgb"), ("2.1.0", "False", "rgb"), ("2", "YES", "bgr")],
)
def test_channels_are_turned_from_what_is_taken(
    version: str | None, turned: str, color: str
) -> None:
    content = {"model_info reverse_input_channels": turned}
    if version:
        content["model_info otx_version"] = version
    assert exactly(openvino, content).color == color


def test_one_object_in_json() -> None:
    section = {key.split()[1]: value for key, value in CLASSIFIER.items()}
    typed = section | {
        "mean_values": [123.675, 116.28, 103.53],
        "labels": ["cat", "Egyptian cat", "dog"],
        "reverse_input_channels": True,
    }
    for content in ({"model_info": section}, {"model_info": json.dumps(typed)}):
        assert exactly(openvino, content) == exactly(openvino, CLASSIFIER)
        assert names(openvino, content) == ["cat", "Egyptian cat", "dog"]


def test_names_from_the_training_extensions_keep_their_underscores() -> None:
    info = {"label_names": ["cat_a", "dog b"], "label_ids": ["0", "1"]}
    content = {"model_info label_info": json.dumps(info), "model_info labels": "cat_a dog_b"}
    assert names(openvino, content) == ["cat_a", "dog b"]


def test_a_model_that_prepares_its_pictures() -> None:
    found = read(openvino, CLASSIFIER | {"model_info embedded_processing": "True"})
    assert (found.preprocess.scale, found.preprocess.mean) == (1.0, 0.0)
    assert "by itself" in found.assumed[0]


def test_empty_lists_are_none() -> None:
    found = exactly(openvino, {"model_info mean_values": "", "model_info scale_values": ""})
    assert np.array_equal([found.mean, found.std], [0, 1])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mean_values", "a b c"),
        ("scale_values", "0"),
        ("resize_type", "squash"),
        ("reverse_input_channels", "maybe"),
        ("pad_value", "grey"),
    ],
)
def test_what_cannot_be_read(key: str, value: str) -> None:
    word = "std" if key == "scale_values" else key
    refused(openvino, CLASSIFIER | {f"model_info {key}": value}, word, "model_info")


def test_metadata_of_others() -> None:
    document = Document("the/file", {"mean_values": "1 2 3", "model_info task_type": "detection"})
    assert openvino.settings(document) is None
    assert openvino.names(document) is None
