"""torchvision's presets as JSON."""

from __future__ import annotations

from typing import Any

import pytest
from cards.documents import IMAGENET, exactly, names, read, refused

from onnxcam.cards import torchvision
from onnxcam.cards.document import Document
from onnxcam.preprocess import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PRESET = IMAGENET | {
    "crop_size": [224],
    "resize_size": [232],
    "interpolation": "InterpolationMode.BILINEAR",
}


def test_a_classifier_crops() -> None:
    wanted = Preprocess(
        mean=MEAN,
        std=STD,
        size=(224, 224),
        resize="crop",
        crop_ratio=224 / 232,
        interpolation="pil-linear",
    )
    assert exactly(torchvision, PRESET) == wanted
    assert exactly(torchvision, PRESET | {"crop_size": 224, "resize_size": 232}) == wanted
    assert exactly(torchvision, {"crop_size": 224, "resize_size": 232}) == wanted


@pytest.mark.parametrize(
    ("entries", "interpolation"),
    [
        ({"interpolation": "bicubic"}, "pil-cubic"),
        ({"interpolation": "InterpolationMode.NEAREST"}, "pil-nearest"),
        ({"antialias": False}, "linear"),
    ],
)
def test_filters(entries: dict[str, Any], interpolation: str) -> None:
    assert exactly(torchvision, PRESET | entries).interpolation == interpolation


def test_two_lengths_stretch() -> None:
    found = exactly(torchvision, {"resize_size": [256, 128], "mean": [0.5], "std": [0.5]})
    assert (found.resize, found.size, found.mean) == ("stretch", (256, 128), 0.5)


@pytest.mark.parametrize(
    ("content", "resize", "size"),
    [
        ({"resize_size": 520}, "pad", (520, 520)),
        ({"resize_size": [256, 300], "crop_size": 224}, "stretch", (224, 224)),
        ({"crop_size": 224, "interpolation": "bilinear"}, "stretch", (224, 224)),
        ({"resize_size": 224, "crop_size": 256}, "crop", (256, 256)),
    ],
)
def test_what_cannot_be_said_is_told(
    content: dict[str, Any], resize: str, size: tuple[int, int]
) -> None:
    found = read(torchvision, content)
    assert (found.preprocess.resize, found.preprocess.size) == (resize, size)
    assert len(found.assumed) == 1


def test_categories() -> None:
    assert names(torchvision, PRESET | {"categories": ["cat", "dog"]}) == ["cat", "dog"]
    assert names(torchvision, {"meta": {"categories": ["cat", "dog"]}}) == ["cat", "dog"]
    assert names(torchvision, PRESET) is None


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ({"interpolation": "best"}, "interpolation"),
        ({"resize_size": "256"}, "resize_size"),
        ({"crop_size": [1, 2, 3]}, "crop_size"),
        ({"mean": [None]}, "mean"),
        ({"antialias": 1}, "antialias"),
    ],
)
def test_what_cannot_be_read(entries: dict[str, Any], key: str) -> None:
    refused(torchvision, PRESET | entries, key)


def test_other_json() -> None:
    assert torchvision.settings(Document("the/file", {"mean": 0.5, "size": [2, 2]})) is None
