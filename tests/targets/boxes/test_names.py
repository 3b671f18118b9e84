"""The names that Ultralytics writes into its files."""

from __future__ import annotations

import onnx
import pytest
from targets.boxes.detectors import yolov8

from onnxcam import Explainer


def named(names: str) -> onnx.ModelProto:
    model = yolov8()
    model.metadata_props.add(key="names", value=names)
    return model


def test_a_dict_of_names_is_read() -> None:
    explainer = Explainer(named("{0: 'cat', 1: \"dog's\", 2: 'cow'}"))
    assert explainer.card.labels == ("cat", "dog's", "cow")
    assert explainer.card.preprocess.scale == pytest.approx(1 / 255)
    assert any("Ultralytics" in one for one in explainer.card.assumed)


@pytest.mark.parametrize("text", ["", "cat, dog", "{'a': 1}", "{0: 'cat', 5: 'dog'}", "{0: f()}"])
def test_what_is_no_such_dict_is_left_alone(text: str) -> None:
    explainer = Explainer(named(text))
    assert explainer.card.labels is None
    assert explainer.card.preprocess.std != 1.0
