"""Hugging Face's image processors, by the files of well-known models."""

from __future__ import annotations

from typing import Any

import pytest
from cards.documents import exactly, names, read, refused

from onnxcam.cards import hugging_face
from onnxcam.cards.document import Document
from onnxcam.preprocess import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
USUAL = {"do_normalize": True, "image_mean": list(MEAN), "image_std": list(STD), "do_resize": True}

VIT = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 224, "width": 192},
}
CONVNEXT = USUAL | {
    "crop_pct": 0.875,
    "feature_extractor_type": "ConvNextFeatureExtractor",
    "resample": 3,
    "size": 224,
}
DINO = USUAL | {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_rescale": True,
    "image_processor_type": "BitImageProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 256},
}
DETR = USUAL | {
    "feature_extractor_type": "DetrFeatureExtractor",
    "format": "coco_detection",
    "max_size": 1333,
    "size": 800,
}
SEGFORMER = USUAL | {
    "feature_extractor_type": "SegformerFeatureExtractor",
    "reduce_labels": True,
    "resample": 2,
    "size": 512,
}
MOBILENET = {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "image_processor_type": "MobileNetV2ImageProcessor",
    "resample": 2,
    "size": {"shortest_edge": 256},
}
MOBILEVIT = {
    "crop_size": 256,
    "do_center_crop": True,
    "do_flip_channel_order": True,
    "do_resize": True,
    "feature_extractor_type": "MobileViTFeatureExtractor",
    "resample": 2,
    "size": 288,
}


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (VIT, Preprocess(mean=0.5, std=0.5, size=(224, 192), interpolation="pil-linear")),
        (
            CONVNEXT,
            Preprocess(
                mean=MEAN,
                std=STD,
                size=(224, 224),
                resize="crop",
                crop_ratio=0.875,
                interpolation="pil-cubic",
            ),
        ),
        (
            CONVNEXT | {"size": {"shortest_edge": 384}},
            Preprocess(mean=MEAN, std=STD, size=(384, 384), interpolation="pil-cubic"),
        ),
        (
            DINO,
            Preprocess(
                mean=MEAN,
                std=STD,
                size=(224, 224),
                resize="crop",
                crop_ratio=0.875,
                interpolation="pil-cubic",
            ),
        ),
        (SEGFORMER, Preprocess(mean=MEAN, std=STD, size=(512, 512), interpolation="pil-linear")),
        (
            MOBILENET,
            Preprocess(
                mean=0.5,
                std=0.5,
                size=(224, 224),
                resize="crop",
                crop_ratio=0.875,
                interpolation="pil-linear",
            ),
        ),
        (
            MOBILEVIT,
            Preprocess(
                color="bgr",
                size=(256, 256),
                resize="crop",
                crop_ratio=256 / 288,
                interpolation="pil-linear",
            ),
        ),
    ],
    ids=["vit", "convnext", "convnext-384", "dinov2", "segformer", "mobilenet", "mobilevit"],
)
def test_processors(content: dict[str, Any], wanted: Preprocess) -> None:
    assert exactly(hugging_face, content) == wanted


@pytest.mark.parametrize(
    "size", [{"size": 800}, {"size": {"shortest_edge": 800, "longest_edge": 1333}}]
)
def test_detr_is_fitted_in_and_told(size: dict[str, Any]) -> None:
    found = read(hugging_face, DETR | size)
    assert (found.preprocess.resize, found.preprocess.size) == ("pad", (800, 800))
    assert "800" in found.assumed[0]


def test_a_longest_edge_pads() -> None:
    segment_anything = USUAL | {
        "image_processor_type": "SamImageProcessor",
        "size": {"longest_edge": 1024},
        "pad_size": {"height": 1024, "width": 1024},
        "do_pad": True,
    }
    found = exactly(hugging_face, segment_anything)
    assert (found.resize, found.size, found.pad_at) == ("pad", (1024, 1024), "corner")


@pytest.mark.parametrize(
    ("switch", "fields"),
    [
        ({"do_rescale": False}, {"scale": 1.0, "mean": 0.5, "std": 0.5}),
        ({"do_normalize": False}, {"mean": 0.0, "std": 1.0}),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, {"scale": 1 / 127.5, "mean": 1.5}),
        ({"do_flip_channel_order": True}, {"color": "bgr"}),
        ({"resample": 0}, {"interpolation": "pil-nearest"}),
        ({"resample": 1}, {"interpolation": "pil-lanczos"}),
        ({"resample": None}, {"interpolation": "pil-linear"}),
    ],
)
def test_switches(switch: dict[str, Any], fields: dict[str, Any]) -> None:
    found = exactly(hugging_face, VIT | switch)
    assert {key: getattr(found, key) for key in fields} == fields


@pytest.mark.parametrize(
    ("kind", "settings", "shorter"),
    [("Levit", {}, 256), ("PoolFormer", {}, 248), ("PoolFormer", {"crop_pct": 0.95}, 235)],
)
def test_processors_that_scale_to_more(kind: str, settings: dict[str, Any], shorter: int) -> None:
    content = DINO | settings | {"image_processor_type": f"{kind}ImageProcessor", "size": 224}
    assert exactly(hugging_face, content).crop_ratio == 224 / shorter


def test_efficientnet_divides_twice() -> None:
    content = VIT | {"image_processor_type": "EfficientNetImageProcessor", "include_top": True}
    assert exactly(hugging_face, content).std == 0.25


def test_keys_that_are_null_are_left_out() -> None:
    fast = VIT | {"crop_size": None, "do_center_crop": None, "do_pad": None, "pad_size": None}
    fast["image_processor_type"] = "ViTImageProcessorFast"
    assert exactly(hugging_face, fast) == exactly(hugging_face, VIT)


def test_deit_stretches_to_more_than_it_sees() -> None:
    square = {"height": 256, "width": 256}
    found = exactly(hugging_face, VIT | {"size": square, "do_center_crop": True, "crop_size": 224})
    assert (found.resize, found.crop_ratio, found.size) == ("stretch", 224 / 256, (224, 224))


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"height": 256, "width": 300}, "do_center_crop": True, "crop_size": 224},
        {"do_resize": False},
    ],
)
def test_what_cannot_be_said_is_told(settings: dict[str, Any]) -> None:
    found = read(hugging_face, VIT | settings)
    assert found.preprocess.resize == "stretch"
    assert len(found.assumed) == 1


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"image_mean": None}, "image_mean"),
        ({"image_mean": "grey"}, "image_mean"),
        ({"image_std": [0, 0, 0]}, "std"),
        ({"do_resize": "yes"}, "do_resize"),
        ({"resample": 9}, "resample"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
        ({"size": {"side": 3}}, "size"),
        ({"size": {"height": 0, "width": 3}}, "height"),
        ({"size": "224"}, "size"),
        ({"do_center_crop": True}, "crop_size"),
    ],
)
def test_what_cannot_be_read(settings: dict[str, Any], key: str) -> None:
    refused(hugging_face, VIT | settings, f"{key}")


def test_names_in_class_order() -> None:
    content = {"model_type": "vit", "id2label": {"1": "dog", "0": "cat", "10": "emu", "2": "elk"}}
    found = names(hugging_face, content)
    assert found is not None
    assert (found[:3], found[10]) == (["cat", "dog", "elk"], "emu")


def test_placeholders_name_nothing() -> None:
    assert names(hugging_face, {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}) is None


def test_settings_of_sound_are_others() -> None:
    sound = {"do_normalize": True, "feature_size": 1, "sampling_rate": 16000}
    assert hugging_face.settings(Document("the/file", sound)) is None
    config = {"model_type": "vit", "image_size": 224}
    assert hugging_face.settings(Document("the/file", config)) is None
