"""What others wrote, one value broken: read, or refused in one line with a way out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cards import (
    test_hugging_face,
    test_openvino,
    test_paddle,
    test_timm,
    test_torchvision,
    test_ultralytics,
)

from onnxcam.cards import (
    hugging_face,
    openvino,
    paddle,
    timm,
    torchvision,
    ultralytics,
)
from onnxcam.cards.document import Document, Format
from onnxcam.errors import PreprocessError

CASES: list[tuple[Format, Mapping[str, Any]]] = [
    (hugging_face, test_hugging_face.CONVNEXT),
    (hugging_face, test_hugging_face.DETR),
    (hugging_face, test_hugging_face.DINO),
    (hugging_face, {"id2label": {"0": "cat", "1": "dog"}}),
    (openvino, test_openvino.CLASSIFIER),
    (openvino, test_openvino.DETECTOR),
    (openvino, {"model_info": {"mean_values": [1.0], "labels": "cat dog"}}),
    (paddle, test_paddle.content(test_paddle.CLASSIFICATION)),
    (paddle, test_paddle.content(test_paddle.DETECTION)),
    (paddle, test_paddle.content(test_paddle.SEGMENTATION)),
    (paddle, test_paddle.content(test_paddle.TEXT)),
    (paddle, test_paddle.content(test_paddle.TRAINING)),
    (timm, test_timm.RESNET),
    (torchvision, test_torchvision.PRESET),
    (ultralytics, test_ultralytics.DETECTOR),
]
JUNK: list[Any] = [None, True, -1, 0, 1e-320, float("nan"), 10**400, "", "x", "1/0", [], [None]]
JUNK += [[1, 2, 3], {}, {"a": 1}, {1: 2}, [{"type": None}], "((((("]


def broken(content: Any) -> Iterator[Any]:
    """The content with each of its values in turn replaced by each piece of junk."""
    places = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(places):
        for junk in JUNK:
            worse = copy.copy(content)
            worse[key] = copy.copy(junk)
            yield worse
        if isinstance(value, dict | list):
            for inner in broken(value):
                worse = copy.copy(content)
                worse[key] = inner
                yield worse


@pytest.mark.parametrize(
    ("form", "content"),
    CASES,
    ids=[f"{form.__name__.split('.')[-1]}-{k}" for k, (form, _) in enumerate(CASES)],
)
def test_one_broken_value(form: Format, content: Mapping[str, Any]) -> None:
    ways = {form.settings: "--preprocess", form.names: "--labels"}
    for worse in broken(content):
        for read, way_out in ways.items():
            try:
                read(Document("the/file", worse))
            except PreprocessError as error:
                line = str(error)
                assert line.startswith("the/file")
                assert way_out in line
                assert "\n" not in line
