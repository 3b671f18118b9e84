"""Wrong metadata, wrong files beside the model and wrong labels: one line each, exit status 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import annotated, classifier
from click.testing import Result
from complaints import complaint

Cli = Callable[..., Result]
Save = Callable[..., Path]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"preprocess": "{"}, "no JSON"),
        ({"preprocess": "[]"}, "JSON object"),
        ({"preprocess": "5"}, "JSON object"),
        ({"preprocess": '{"men": 0}'}, "'mean'"),
        ({"preprocess": '{"mean": "x"}'}, "mean must be"),
        ({"preprocess": '{"mean": null}'}, "mean must be"),
        ({"preprocess": '{"mean": [[1, 2, 3]]}'}, "mean must be"),
        ({"preprocess": '{"mean": [1, 2]}'}, "2 values, the model 3"),
        ({"preprocess": '{"std": 0}'}, "std"),
        ({"preprocess": '{"scale": NaN}'}, "scale must be"),
        ({"preprocess": '{"color": "cmyk"}'}, "cmyk"),
        ({"preprocess": '{"resize": ["crop"]}'}, "resize"),
        ({"preprocess": '{"size": [16]}'}, "size must be"),
        ({"preprocess": '{"size": 16}'}, "onnxcam.preprocess"),
        ({"preprocess": '{"size": [0, 16]}'}, "size must be"),
        ({"preprocess": '{"crop_ratio": 2}'}, "crop_ratio"),
        ({"preprocess": '{"crop_ratio": "all"}'}, "crop_ratio"),
        ({"labels": "{"}, "no JSON"),
        ({"labels": "5"}, "labels must be"),
        ({"labels": '{"cat": 1}'}, "labels must be"),
    ],
)
def test_wrong_metadata_in_the_model(
    entries: dict[str, str], words: str, cli: Cli, save: Save, picture_file: Path
) -> None:
    model = save(annotated(classifier(), **entries))
    assert words in complaint(cli("explain", model, picture_file))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not readable as JSON"),
        ("[1]", "no JSON object"),
        ('{"preprocess": 5}', "JSON object"),
        ('{"labels": 5}', "labels must be"),
        ('{"labels": "cats"}', "labels must be"),
    ],
)
def test_a_wrong_file_beside_the_model(
    text: str, words: str, cli: Cli, model_file: Path, picture_file: Path
) -> None:
    model_file.with_suffix(".json").write_text(text)
    line = complaint(cli("explain", model_file, picture_file))
    assert words in line
    assert "model.json" in line


@pytest.mark.parametrize(
    ("name", "text"),
    [("l.txt", ""), ("l.txt", "\n\n"), ("l.json", "[]"), ("l.json", "5"), ("l.json", "{")],
)
def test_labels_without_names(
    name: str, text: str, cli: Cli, model_file: Path, picture_file: Path
) -> None:
    path = picture_file.parent / name
    path.write_text(text)
    assert name in complaint(cli("explain", model_file, picture_file, "--labels", path))
