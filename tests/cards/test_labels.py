"""Lists of class names that are given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import annotated, classifier

from onnxcam.cards import Card
from onnxcam.cards.imagenet import imagenet_names
from onnxcam.cards.labels import given_names, listed_names
from onnxcam.errors import PreprocessError
from onnxcam.understanding import understand

NAMES = ["ant", "bee", "cat", "dog", "elk"]


def card_of(model: Any, preprocess: Any = None, labels: Any = None) -> Card:
    return understand(model, preprocess, labels)[2]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.txt", "ant\nbee\ncat\ndog\nelk\n"),
        ("l.txt", "ant\r\nbee\r\ncat\r\ndog\r\nelk"),
        ("l.txt", "\ufeffant\nbee\ncat\ndog\nelk\n"),
        ("l.names", "  ant\nbee \ncat\ndog\nelk"),
        ("l.json", json.dumps(NAMES)),
        ("l.json", "\ufeff" + json.dumps(NAMES)),
        ("l.json", json.dumps({str(k): name for k, name in enumerate(NAMES)})),
        ("l.json", json.dumps({str(k): NAMES[k] for k in (4, 2, 0, 1, 3)})),
        ("l.json", json.dumps({"labels": NAMES, "preprocess": {}})),
    ],
)
def test_labels_from_files(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert card_of(classifier(), "raw", path).labels == tuple(NAMES)


def test_an_index_that_is_left_out_does_not_shift_the_others(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text('{"0": "ant", "2": "cat"}')
    assert given_names(path, 3) == ["ant", "", "cat"]


def test_a_blank_line_keeps_its_number(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_text("ant\n\ncat\n")
    assert given_names(path, 3).index("cat") == 2


def test_labels_as_a_dict_in_metadata() -> None:
    labels = json.dumps({str(k): name for k, name in enumerate(NAMES)})
    assert card_of(annotated(classifier(), labels=labels), "raw").labels == tuple(NAMES)


def test_ten_digits_sort_as_numbers() -> None:
    assert listed_names({str(k): f"class {k}" for k in range(12)}, "x")[10] == "class 10"


def test_labels_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_bytes(b"\xff\xfe\x00cat")
    with pytest.raises(PreprocessError, match=r"l\.txt"):
        given_names(path, 5)


def test_imagenet_by_its_name() -> None:
    names = given_names("imagenet", 1000)
    assert len(names) == 1000
    assert (names[0], names[285], names[999]) == ("tench", "Egyptian cat", "toilet tissue")
    assert given_names("imagenet", 1001)[:2] == ["background", "tench"]


def test_imagenet_for_a_model_of_other_classes() -> None:
    assert imagenet_names(5) == []
    assert imagenet_names(None) == []
    with pytest.raises(PreprocessError, match="1000 labels for the model's 5 classes"):
        card_of(classifier(), "raw", "imagenet")
