"""`--target` on the command line: every kind, several at once, into files and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import annotated
from click.testing import Result
from complaints import complaint
from graphs import photo, pictures, write_picture
from targets.networks import classifier, heatmaps, regression, segmentation, two_heads

import onnxcam
from onnxcam.runtime import Runner

Cli = Callable[..., Result]
Save = Callable[..., Path]


def explained(cli: Cli, model: Path, picture: Path, *targets: str) -> list[dict[str, object]]:
    words = [word for spec in targets for word in ("--target", spec)]
    result = cli(
        "explain", model, picture, *words, "-o", picture.parent / "out", "--preprocess", "0-1",
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    ("model", "target", "file", "label"),
    [
        (classifier(), "3", "photo.3", None),
        (classifier(), "3-1", "photo.3-1", "3 - 1"),
        (classifier(), "3-rest", "photo.3-rest", "3 - the rest"),
        (classifier(1, "Sigmoid"), "no", "photo.0", None),
        (regression(), "value", "photo.age", "age"),
        (regression(), "-value", "photo.fall-of-age", "-age"),
        (two_heads(), "output:embedding[3]", "photo.embedding-3", "embedding[3]"),
        (two_heads(), "colours:2", "photo.2", None),
        (two_heads(), "embedding:similar:{}", "photo.similar-to-photo", "similar to photo"),
        (segmentation(), "region:2@2,2,20,20", "photo.2-in-2,2,20,20", "class 2 in 2,2,20,20"),
        (segmentation(), "region:2@{}", "photo.2-in-photo", "class 2 in photo"),
    ],
)
def test_every_kind_of_target(
    model: onnx.ModelProto, target: str, file: str, label: str | None, cli: Cli, save: Save,
    picture_file: Path,
) -> None:  # fmt: skip
    found = explained(cli, save(model), picture_file, target.format(picture_file))
    (entry,) = found
    shown = entry["target"]
    assert isinstance(shown, dict)
    assert set(shown) == {"index", "label", "score", "probability"}
    assert shown["label"] == label
    assert isinstance(shown["score"], float)
    assert (shown["probability"] is None) == (label is not None)
    assert Path(str(entry["overlay"])).name == f"{file}.gradcam.png"


def test_several_targets_and_no_file_twice(cli: Cli, save: Save, picture_file: Path) -> None:
    targets = ["1", "3", "1-3", "3-1", "1-rest", "p:1"]
    found = explained(cli, save(classifier()), picture_file, *targets)
    assert len(found) == len(targets)
    files = [entry["overlay"] for entry in found]
    assert len(set(files)) == len(targets)
    assert str(files[-1]).endswith("photo.1_2.gradcam.png")
    assert len(list((picture_file.parent / "out").iterdir())) == 2 * len(targets)


def test_all_classes(cli: Cli, save: Save, picture_file: Path) -> None:
    found = explained(cli, save(classifier()), picture_file, "all")
    assert [entry["target"]["index"] for entry in found] == list(range(5))


def test_a_line_for_people(cli: Cli, save: Save, picture_file: Path) -> None:
    model = save(annotated(classifier(), labels='["ant", "bee", "cat", "dog", "elk"]'))
    words = ["--target", "cat-dog", "--target", "dog", "-o", picture_file.parent / "out"]
    lines = cli("explain", model, picture_file, *words).stdout.splitlines()
    assert f"{picture_file}: cat - dog (" in lines[0]
    assert "%" not in lines[0]
    assert f"{picture_file}: 3 dog (" in lines[1]
    assert "%" in lines[1]


@pytest.mark.parametrize(
    ("model", "target", "words"),
    [
        (classifier(), "9", "classes 0 to 4"),
        (classifier(), "9-1", "classes 0 to 4"),
        (classifier(), "region", "one score a class and position"),
        (classifier(), "yes", "one of 0 to 4"),
        (classifier(ending="Softmax"), "present", "share a Softmax"),
        (classifier(), "output:logit[1]", "'logits'"),
        (classifier(), "region", "the model has classes 0 to 4"),
        (segmentation(), "1", "classes 0 to 3 apart at every position (target 'region:3')"),
        (segmentation(), "best", "apart at every position"),
        (heatmaps(), "1-0", "apart at every position"),
        (segmentation(), "region:9", "classes 0 to 3"),
    ],
)
def test_a_wrong_target_says_what_there_is(
    model: onnx.ModelProto, target: str, words: str, cli: Cli, save: Save, picture_file: Path
) -> None:
    result = cli("explain", save(model), picture_file, "--target", target)
    assert words in complaint(result)


def test_a_target_that_one_picture_lacks_does_not_stop_the_others(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    small, large = (write_picture(tmp_path / f"{n}.png", photo(n, n)) for n in (8, 64))
    words = ["--target", "region:1@20,20,60,60", "-o", tmp_path / "out", "--json"]
    result = cli("explain", save(segmentation()), small, large, *words)
    assert result.exit_code == 1
    assert [entry["image"] for entry in json.loads(result.stdout)] == [str(large)]
    assert "holds nothing" in result.stderr


@pytest.mark.parametrize(
    ("target", "named"), [("3", "3"), ("cat-dog", "2-3"), ("p:best", "best"), ("all", "0, 1, 2")]
)
def test_a_rewritten_model_explains_its_target(
    target: str, named: str, cli: Cli, save: Save, tmp_path: Path
) -> None:
    model = save(annotated(classifier(), labels='["ant", "bee", "cat", "dog", "elk"]'))
    out = tmp_path / "explained.onnx"
    result = cli("rewrite", model, "-o", out, "--target", target)
    assert result.exit_code == 0, result.output
    assert f"target {named}" in result.stdout
    inside = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert inside["onnxcam.target"].startswith(named)
    assert inside["onnxcam.score"] == ("probability" if target.startswith("p:") else "logit")
    x = pictures(2)
    answer = Runner(onnx.load(out)).run({"image": x})
    expected = onnxcam.Explainer(model).run(x, target=target)
    np.testing.assert_allclose(answer["cam"], expected["raw"], rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(answer["cam_target"], expected["target"])


def test_a_target_that_needs_a_picture_cannot_be_rewritten(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    out = tmp_path / "o.onnx"
    for model, target, words in (
        (classifier(ending="Sigmoid"), "present", "depends on the picture"),
        (segmentation(), "region@1,1,4,4", "a box needs a picture"),
    ):
        result = cli("rewrite", save(model), "-o", out, "--target", target)
        assert words in complaint(result)
    result = cli("rewrite", save(classifier()), "-o", out, "--target", "1", "--top", "2")
    assert "not both" in complaint(result)
