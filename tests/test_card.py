"""What travels with a model: which source wins, and what is guessed without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from builders import annotated, channels_last, classifier, conv_trunk, head
from graphs import Build, weights

from onnxcam.card import Card
from onnxcam.errors import PreprocessError, TargetError
from onnxcam.explainer import understand
from onnxcam.preprocess import PRESETS, Preprocess

Save = Callable[..., Path]
NAMES = ["ant", "bee", "cat", "dog", "elk"]


def card_of(model: Any, preprocess: Any = None, labels: Any = None) -> Card:
    return understand(model, preprocess, labels)[2]


def self_normalising(op: str) -> onnx.ModelProto:
    """Arithmetic on the picture in front of the first convolution."""
    b = Build((1, 3, 16, 16))
    b.weight("value", weights(1, 3, 1, 1))
    b.op("Identity", ["image"], "same")
    b.op(op, ["same", "value"], "normal")
    conv_trunk(b)
    b.nodes[2].input[0] = "normal"
    head(b)
    return b.model()


def quantised_input() -> onnx.ModelProto:
    b = Build(dtype=onnx.TensorProto.UINT8)
    b.op("Cast", ["image"], "float", to=1)
    conv_trunk(b)
    b.nodes[1].input[0] = "float"
    head(b)
    return b.model()


@pytest.mark.parametrize(
    ("model", "preset", "why"),
    [
        (classifier, "imagenet", "channels first"),
        (channels_last, "tf", "channels last"),
        (lambda: classifier((1, 1, 16, 16), channels=1), "0-1", "one channel"),
        (lambda: classifier((1, 4, 16, 16), channels=4), "0-1", "4 channels"),
        (lambda: self_normalising("Sub"), "raw", "the model normalises"),
        (lambda: self_normalising("Mul"), "raw", "the model normalises"),
        (quantised_input, "raw", "the model normalises"),
    ],
)
def test_a_guess_says_so(model: Callable[[], onnx.ModelProto], preset: str, why: str) -> None:
    card = card_of(model())
    assert card.preprocess == PRESETS[preset]
    assert len(card.assumed) == 1
    assert card.assumed[0].startswith(f"preprocessing '{preset}' ({why}")
    assert "--preprocess" in card.assumed[0]


def test_an_open_input_size_is_told() -> None:
    model = classifier((1, 3, None, None))
    assert "input size 224x224" in card_of(model, "0-1").assumed[0]
    assert card_of(model, Preprocess(size=(64, 32))).assumed == ()


def test_flag_before_metadata_before_file_before_guess(save: Save) -> None:
    inside = annotated(
        classifier(), preprocess='{"scale": 2.0}', labels=json.dumps([f"in {n}" for n in NAMES])
    )
    path = save(inside)
    beside = {"preprocess": {"scale": 3.0}, "labels": [f"by {n}" for n in NAMES]}
    path.with_suffix(".json").write_text(json.dumps(beside))
    given = card_of(path, Preprocess(scale=1.0), NAMES)
    assert (given.preprocess.scale, given.label(0)) == (1.0, "ant")
    metadata = card_of(path)
    assert (metadata.preprocess.scale, metadata.label(0)) == (2.0, "in ant")
    bare = save(classifier())
    sidecar = card_of(bare)
    assert (sidecar.preprocess.scale, sidecar.label(0)) == (3.0, "by ant")
    assert sidecar.assumed == ()
    bare.with_suffix(".json").unlink()
    assert card_of(bare).preprocess == PRESETS["imagenet"]
    assert card_of(bare).label(0) is None


def test_each_half_has_its_own_source(save: Save) -> None:
    path = save(annotated(classifier(), preprocess='{"scale": 2.0}'))
    path.with_suffix(".json").write_text(json.dumps({"labels": NAMES}))
    card = card_of(path)
    assert (card.preprocess.scale, card.labels) == (2.0, tuple(NAMES))


def test_another_json_file_beside_the_model_is_no_card(save: Save) -> None:
    path = save(classifier())
    path.with_suffix(".json").write_text('{"program": {"regions": []}}')
    assert card_of(path).labels is None


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
    card = card_of(classifier(), "raw", path)
    assert card.index("cat") == 2
    assert card.label(2) == "cat"


def test_a_blank_line_keeps_its_number(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_text("ant\n\ncat\n")
    assert card_of(classifier(), "raw", path).index("cat") == 2


def test_labels_as_a_dict_in_metadata() -> None:
    labels = json.dumps({str(k): name for k, name in enumerate(NAMES)})
    assert card_of(annotated(classifier(), labels=labels), "raw").labels == tuple(NAMES)


def test_ten_digits_sort_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text(json.dumps({str(k): f"class {k}" for k in range(12)}))
    assert card_of(classifier(), "raw", path).label(10) == "class 10"


CARD = Card(Preprocess(), ("tabby, tabby cat", "Egyptian cat", "tiger", "0"))


@pytest.mark.parametrize(
    ("label", "index"),
    [("tabby", 0), ("tabby cat", 0), ("TABBY, tabby cat", 0), ("egyptian CAT", 1), ("tiger", 2)],
)
def test_a_label_is_found_by_name_or_synonym(label: str, index: int) -> None:
    assert CARD.index(label) == index


@pytest.mark.parametrize(("label", "near"), [("egyptian", "Egyptian cat"), ("tigr", "tiger")])
def test_an_unknown_label_offers_the_nearest(label: str, near: str) -> None:
    with pytest.raises(TargetError, match=f"did you mean .*'{near}'"):
        CARD.index(label)


def test_without_labels_a_name_means_nothing() -> None:
    with pytest.raises(TargetError, match="carries no labels"):
        Card(Preprocess(), None).index("cat")


@pytest.mark.parametrize("index", [-1, 4, 1000])
def test_a_class_without_a_name(index: int) -> None:
    assert CARD.label(index) is None


def test_labels_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_bytes(b"\xff\xfe\x00cat")
    with pytest.raises(PreprocessError, match=r"l\.txt"):
        card_of(classifier(), "raw", path)
