"""timm's `config.json`."""

from __future__ import annotations

from dataclasses import replace
from math import floor
from typing import Any

import pytest
from cards.documents import IMAGENET, exactly, names, read, refused

from onnxcam.cards import timm
from onnxcam.cards.document import Document
from onnxcam.preprocess import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RESNET = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "num_features": 2048,
    "pretrained_cfg": {
        "tag": "a1_in1k",
        "custom_load": False,
        "input_size": [3, 224, 224],
        "test_input_size": [3, 288, 288],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "test_crop_pct": 1.0,
        "crop_mode": "center",
        "num_classes": 1000,
        "pool_size": [7, 7],
        "first_conv": "conv1",
        "classifier": "fc",
        **IMAGENET,
    },
}


def changed(**entries: Any) -> dict[str, Any]:
    return RESNET | {"pretrained_cfg": RESNET["pretrained_cfg"] | entries}  # type: ignore[operator]


def test_the_centre_of_what_is_larger() -> None:
    wanted = Preprocess(
        mean=MEAN,
        std=STD,
        size=(224, 224),
        resize="crop",
        crop_ratio=224 / floor(224 / 0.95),
        interpolation="pil-cubic",
    )
    assert exactly(timm, RESNET) == wanted


def test_an_older_file_has_it_at_the_top() -> None:
    old = {"architecture": "resnet50"} | RESNET["pretrained_cfg"]  # type: ignore[operator]
    assert exactly(timm, old) == exactly(timm, RESNET)


def test_squash_stretches_to_more_than_it_sees() -> None:
    whole = exactly(timm, changed(crop_mode="squash", crop_pct=1.0))
    assert (whole.resize, whole.size, whole.crop_ratio) == ("stretch", (224, 224), 1)
    part = exactly(timm, changed(crop_mode="squash"))
    assert part == replace(whole, crop_ratio=224 / floor(224 / 0.95))


def test_a_border_keeps_its_margin() -> None:
    whole = exactly(timm, changed(crop_mode="border", crop_pct=1.0))
    assert (whole.resize, whole.size) == ("pad", (224, 224))
    part = read(timm, changed(crop_mode="border"))
    assert part.preprocess == whole
    assert "kept" in part.assumed[0]


def test_a_border_lies_around() -> None:
    found = exactly(timm, changed(crop_mode="border", crop_pct=1.0))
    assert (found.pad_at, found.pad_value) == ("center", None)


def test_what_is_left_out_is_timms_default() -> None:
    found = exactly(timm, {"architecture": "x", "pretrained_cfg": {}})
    assert (found.mean, found.std, found.crop_ratio) == (MEAN, STD, 0.875)
    assert found.interpolation == "pil-cubic"


def test_names() -> None:
    listed = changed(label_names=["n01", "n02"], label_descriptions={"n01": "tench", "n02": "hen"})
    assert names(timm, listed) == ["tench", "hen"]
    assert names(timm, RESNET | {"label_names": ["cat", "dog"]}) == ["cat", "dog"]
    assert names(timm, RESNET) is None


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ({"interpolation": "best"}, "interpolation"),
        ({"crop_mode": "top"}, "crop_mode"),
        ({"crop_pct": 0}, "crop_pct"),
        ({"crop_pct": "all"}, "crop_pct"),
        ({"input_size": [224, 224]}, "input_size"),
        ({"input_size": [3, 0, 224]}, "input_size"),
        ({"mean": ["a"]}, "mean"),
        ({"std": [0, 0, 0]}, "std"),
    ],
)
def test_what_cannot_be_read(entries: dict[str, Any], key: str) -> None:
    refused(timm, changed(**entries), key, "pretrained_cfg")


def test_a_config_of_others() -> None:
    assert timm.settings(Document("the/file", {"architectures": ["ViT"], "id2label": {}})) is None
    assert timm.names(Document("the/file", {"architectures": ["ViT"], "id2label": {}})) is None
