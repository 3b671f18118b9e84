"""What PaddleClas, PaddleDetection, PaddleSeg and PaddleOCR write beside their models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cards.documents import exactly, names, read, refused

from onnxcam.cards import paddle
from onnxcam.cards.document import Document
from onnxcam.preprocess import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CLASSIFICATION = """
Global: {model_name: PP-LCNet_x1_0}
PreProcess:
  transform_ops:
  - ResizeImage: {resize_short: 256}
  - CropImage: {size: 224}
  - NormalizeImage:
      channel_num: 3
      mean: [0.485, 0.456, 0.406]
      order: ''
      scale: 0.00392156862745098
      std: [0.229, 0.224, 0.225]
  - ToCHWImage: null
PostProcess:
  Topk:
    label_list: [cat, dog]
    topk: 5
"""
TRAINING = """
Infer:
  transforms:
  - DecodeImage: {to_rgb: true, channel_first: false}
  - ResizeImage: {size: [192, 48], interpolation: bicubic, backend: pil}
  - NormalizeImage: {scale: 1.0/255.0, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], order: ''}
  - ToCHWImage:
  PostProcess: {name: ThreshOutput, threshold: 0.9, label_0: nobody, label_1: someone}
"""
DETECTION = """
mode: paddle
draw_threshold: 0.5
arch: YOLO
Preprocess:
- {interp: 2, keep_ratio: false, target_size: [608, 640], type: Resize}
- is_scale: true
  mean: [0.485, 0.456, 0.406]
  norm_type: mean_std
  std: [0.229, 0.224, 0.225]
  type: NormalizeImage
- type: Permute
label_list: [person, bicycle]
"""
SEGMENTATION = """
Deploy:
  input_shape: [-1, 3, -1, -1]
  model: model.pdmodel
  output_op: argmax
  params: model.pdiparams
  transforms:
  - {target_size: [256, 144], type: Resize}
  - {type: Normalize}
"""
TEXT = """
PreProcess:
  transform_ops:
  - DecodeImage: {channel_first: false, img_mode: BGR}
  - MultiLabelEncode: {gtc_encode: NRTRLabelEncode}
  - RecResizeImg: {image_shape: [3, 48, 320]}
  - KeepKeys: {keep_keys: [image]}
"""


def content(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            CLASSIFICATION,
            Preprocess(
                mean=MEAN,
                std=STD,
                size=(224, 224),
                resize="crop",
                crop_ratio=0.875,
                interpolation="linear",
            ),
        ),
        (TRAINING, Preprocess(mean=0.5, std=0.5, size=(48, 192), interpolation="pil-cubic")),
        (DETECTION, Preprocess(mean=MEAN, std=STD, size=(608, 640), interpolation="cubic")),
        (SEGMENTATION, Preprocess(mean=0.5, std=0.5, size=(144, 256), interpolation="linear")),
        (
            TEXT,
            Preprocess(
                color="bgr", mean=0.5, std=0.5, size=(48, 320), resize="pad", interpolation="linear"
            ),
        ),
    ],
    ids=["classification", "training", "detection", "segmentation", "text"],
)
def test_programs(text: str, wanted: Preprocess) -> None:
    found = exactly(paddle, content(text))
    assert found.scale == pytest.approx(wanted.scale)
    assert found == Preprocess(**(vars(wanted) | {"scale": found.scale}))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (CLASSIFICATION, ["cat", "dog"]),
        (TRAINING, ["nobody", "someone"]),
        (DETECTION, ["person", "bicycle"]),
        (SEGMENTATION, None),
    ],
)
def test_names(text: str, wanted: list[str] | None) -> None:
    assert names(paddle, content(text)) == wanted


def test_names_in_the_file_that_is_named(tmp_path: Path) -> None:
    post = {"PostProcess": {"Topk": {"class_id_map_file": "../utils/labels.txt"}}}
    assert paddle.names(Document("the/file", post, tmp_path)) is None
    (tmp_path / "labels.txt").write_text("0 tench, Tinca tinca\n1 goldfish\n")
    found = paddle.names(Document("the/file", post, tmp_path))
    assert found == ["tench, Tinca tinca", "goldfish"]


def detection(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"Preprocess": list(steps)}


KEPT = {"type": "Resize", "keep_ratio": True, "target_size": [800, 1333], "interp": 1}
NORMAL = {"type": "NormalizeImage", "is_scale": False, "norm_type": "none"}


def test_no_normalisation() -> None:
    found = exactly(paddle, detection(NORMAL))
    assert (found.scale, found.mean, found.std) == (1.0, 0.0, 1.0)
    scaled = exactly(paddle, detection(NORMAL | {"is_scale": True}))
    assert scaled.scale == pytest.approx(1 / 255)


def test_a_stride_into_an_open_size_is_told() -> None:
    found = read(paddle, detection(KEPT, NORMAL, {"type": "PadStride", "stride": 64}))
    assert (found.preprocess.resize, found.preprocess.size) == ("pad", (832, 832))
    assert "832x832" in found.assumed[0]


def test_a_letterbox() -> None:
    box = {"type": "LetterBoxResize", "target_size": [416, 640]}
    found = exactly(paddle, detection(box, NORMAL))
    assert (found.resize, found.size, found.pad_at) == ("pad", (416, 640), "center")
    assert (found.pad_value, found.interpolation) == (127.5, "area")


@pytest.mark.parametrize(("first", "value"), [(True, 114.0), (False, None)])
def test_padding_before_and_behind_the_normalisation(first: bool, value: float | None) -> None:
    square = KEPT | {"target_size": [640, 640]}
    pad = {"type": "Pad", "size": [640, 640], "fill_value": [114.0, 114.0, 114.0]}
    steps = (square, pad, NORMAL) if first else (square, NORMAL, pad)
    found = exactly(paddle, detection(*steps))
    assert (found.resize, found.size, found.pad_value) == ("pad", (640, 640), value)


@pytest.mark.parametrize(
    ("step", "resize", "size"),
    [
        ({"type": "Resize", "keep_ratio": True, "target_size": [64, 32]}, "pad", (32, 64)),
        ({"type": "ResizeByLong", "long_size": 96}, "pad", (96, 96)),
        ({"type": "Padding", "target_size": [64, 32]}, "pad", (32, 64)),
    ],
)
def test_segmentation_sizes(step: dict[str, Any], resize: str, size: tuple[int, int]) -> None:
    found = exactly(paddle, {"Deploy": {"transforms": [step, {"type": "Normalize"}]}})
    assert (found.resize, found.size) == (resize, size)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({"type": "Resize"}, ["target_size", "left out"]),
        ({"type": "WarpAffine"}, ["WarpAffine", "no operator that is understood"]),
        ({"type": "Resise"}, ["Resise", "'Resize'"]),
        (NORMAL | {"norm_type": "mean_std", "mean": None}, ["mean"]),
        (KEPT | {"interp": 7}, ["interp"]),
        (KEPT | {"keep_ratio": "yes"}, ["keep_ratio"]),
        ({}, ["Preprocess", "operators"]),
    ],
)
def test_what_cannot_be_read(steps: dict[str, Any], words: list[str]) -> None:
    refused(paddle, detection(steps), "Preprocess", *words)


def test_a_scale_that_is_no_fraction() -> None:
    broken = content(TRAINING.replace("1.0/255.0", "1.0/0.0"))
    refused(paddle, broken, "NormalizeImage", "scale")


def test_other_yaml() -> None:
    document = Document("the/file", {"PreProcess": None, "services": {"web": {}}})
    assert paddle.settings(document) is None
    assert paddle.names(document) is None
