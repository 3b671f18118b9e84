"""What the command line does when all is well, or partly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
import onnx
import pytest
from builders import annotated, classifier, gap_linear
from click.testing import Result
from graphs import photo, write_picture

import onnxcam
from onnxcam.cli import main

Cli = Callable[..., Result]
Save = Callable[..., Path]

ENTRY = {
    "image", "method", "layer", "target", "provider", "overlay", "heatmap", "warnings",
}  # fmt: skip
COMMANDS = sorted(main.commands.items())


def test_json_is_one_document_with_the_contracts_keys(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = cli("explain", model_file, picture_file, "-o", out, "--top", "2", "--json")
    assert result.exit_code == 0
    entries = json.loads(result.stdout)
    assert len(entries) == 2
    for entry in entries:
        assert set(entry) - {"raw"} == ENTRY
        assert set(entry["target"]) == {"index", "label", "score", "probability"}
        assert entry["image"] == str(picture_file)
        assert entry["method"] == "gradcam"
        assert entry["layer"] == "features"
        assert entry["warnings"] == []
        assert cv2.imread(entry["overlay"]).shape == photo().shape
        heatmap = np.load(entry["heatmap"])
        assert heatmap.dtype == np.float32
        assert heatmap.shape == (16, 16)
        stem = f"photo.{entry['target']['index']}.gradcam"
        assert Path(entry["overlay"]).name == f"{stem}.png"


def test_raw_maps_are_saved_on_request(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = cli("explain", model_file, picture_file, "-o", out, "--save", "raw, heatmap", "--json")
    entry = json.loads(result.stdout)[0]
    assert entry["overlay"] is None
    assert np.load(entry["raw"]).shape == (8, 8)
    assert len(list(out.iterdir())) == 2


def test_the_table_names_class_and_files(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    result = cli("explain", model_file, picture_file, "-o", tmp_path / "out", "--target", "3")
    assert result.exit_code == 0
    line = result.stdout.strip()
    assert f"{picture_file}: 3 class 3 (" in line
    assert "photo.3.gradcam.png" in line


def test_assumptions_go_to_stderr(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    result = cli("explain", model_file, picture_file, "-o", tmp_path, "--json")
    assert result.stderr.startswith("assumed: preprocessing 'imagenet'")
    given = ["--preprocess", "0-1"]
    result = cli("explain", model_file, picture_file, "-o", tmp_path, "--json", *given)
    assert result.stderr == ""


def test_a_broken_picture_does_not_stop_the_others(
    cli: Cli, model_file: Path, tmp_path: Path
) -> None:
    good = [write_picture(tmp_path / name) for name in ("a.png", "c.png")]
    broken = tmp_path / "b.png"
    broken.write_bytes(b"broken")
    paths = [good[0], broken, good[1]]
    result = cli("explain", model_file, *paths, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert [entry["image"] for entry in json.loads(result.stdout)] == [str(p) for p in good]
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert str(broken) in errors[0]


def test_pictures_of_one_name_do_not_overwrite_each_other(
    cli: Cli, model_file: Path, tmp_path: Path
) -> None:
    paths = [
        write_picture(tmp_path / folder / name, photo(seed=k))
        for k, (folder, name) in enumerate(
            [("a", "cat.png"), ("b", "cat.png"), ("b", "cat-2.png"), ("a", "cat.bmp")]
        )
    ]
    options = ["--target", "1", "--save", "heatmap", "--json", "-o", tmp_path / "out"]
    result = cli("explain", model_file, *paths, *options)
    assert result.exit_code == 0
    names = [Path(entry["heatmap"]).name for entry in json.loads(result.stdout)]
    assert len(set(names)) == 4
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_progress_bar_stays_off_stdout(
    cli: Cli, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_picture(tmp_path / f"{k}.png") for k in range(3)]
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True)
    result = cli("explain", model_file, *paths, "--json", "-o", tmp_path / "out")
    assert "explaining" in result.stderr
    assert len(json.loads(result.stdout)) == 3


def test_no_progress_bar_where_nobody_looks(cli: Cli, model_file: Path, tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{k}.png") for k in range(3)]
    result = cli("explain", model_file, *paths, "-o", tmp_path / "out", "--preprocess", "0-1")
    assert result.stderr == ""


def test_a_warning_is_told_on_both_channels(
    cli: Cli, save: Save, picture_file: Path, tmp_path: Path
) -> None:
    model = save(annotated(gap_linear(-np.eye(3), 16), preprocess='{"scale": 1.0}'))
    result = cli("explain", model, picture_file, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0
    (warning,) = json.loads(result.stdout)[0]["warnings"]
    assert "weighted sum is negative" in warning
    assert f"warning: {picture_file}: {warning}" in result.stderr


def test_scores_that_are_no_numbers_still_make_valid_json(
    cli: Cli, save: Save, picture_file: Path, tmp_path: Path
) -> None:
    model = save(annotated(gap_linear(np.full((2, 3), np.nan), 16), preprocess="{}"))
    options = ["-o", tmp_path / "out"]

    def refuse(token: str) -> None:
        raise AssertionError(token)

    result = cli("explain", model, picture_file, *options, "--json")
    entry = json.loads(result.stdout, parse_constant=refuse)[0]
    assert entry["target"]["score"] is None
    assert "not finite" in entry["warnings"][0]
    assert cli("explain", model, picture_file, *options).exit_code == 0


def test_labels_and_unicode_are_printed(cli: Cli, save: Save, tmp_path: Path) -> None:
    labels = json.dumps(["Katze", "Hündin", "鳥", "рыба", "cheval"])
    model = save(annotated(classifier(), labels=labels, preprocess="{}"), "módèl.onnx")
    image = write_picture(tmp_path / "bild ü" / "猫.png")
    result = cli("explain", model, image, "--target", "hündin", "-o", tmp_path / "ö", "--json")
    entry = json.loads(result.stdout)[0]
    assert entry["target"]["label"] == "Hündin"
    assert Path(entry["overlay"]).is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_a_name_that_is_no_utf8_is_escaped(model_file: Path, tmp_path: Path) -> None:
    path = os.fsencode(write_picture(tmp_path / "x.png").parent) + b"/caf\xe9.png"
    os.rename(tmp_path / "x.png", path)
    command = [sys.executable, "-m", "onnxcam", "explain", model_file, path, "-o", tmp_path / "o"]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict", "PYTHONUTF8": "1"}
    done = subprocess.run([*command, "--json"], capture_output=True, env=strict, check=True)
    assert os.fsencode(json.loads(done.stdout)[0]["image"]) == path
    done = subprocess.run(command, capture_output=True, env=strict, check=True)
    assert b"caf\\udce9.png: " in done.stdout


def test_layers_lists_ranks(cli: Cli, model_file: Path) -> None:
    found = json.loads(cli("layers", model_file, "--json").stdout)
    assert [layer["index"] for layer in found] == list(range(len(found)))
    assert found[0]["name"] == "features"
    assert [layer["automatic"] for layer in found].count(True) == 1
    assert found[0]["grid"] == [8, 8]
    table = cli("layers", model_file).stdout
    assert "0 *" in table
    assert "features" in table


def test_layers_of_a_dynamic_model_in_json(cli: Cli, save: Save) -> None:
    found = json.loads(cli("layers", save(classifier(("n", 3, "h", "w"))), "--json").stdout)
    assert found[0]["grid"] == [112, 112]
    assert found[0]["shape"][0] == "n"


def test_methods_lists_gradcam(cli: Cli) -> None:
    found = {method["name"]: method for method in json.loads(cli("methods", "--json").stdout)}
    assert "Selvaraju" in found["gradcam"]["paper"]
    assert "gradcam" in cli("methods").stdout


def test_rewrite_writes_a_model(cli: Cli, model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "explained.onnx"
    result = cli("rewrite", model_file, "-o", path, "--top", "2")
    assert result.exit_code == 0
    assert "features" in result.stdout
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    assert [o.name for o in made.graph.output] == ["logits", "cam", "cam_target"]


def test_check_passes_and_fails_by_status(cli: Cli, model_file: Path) -> None:
    result = cli("check", model_file)
    assert result.exit_code == 0
    assert "agrees with float64 differences" in result.stdout
    report = json.loads(cli("check", model_file, "--json").stdout)
    assert report["passed"]
    assert report["missing"] == {}
    assert report["layer"] == "features"


def test_version(cli: Cli) -> None:
    assert onnxcam.__version__ in cli("--version").stdout


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_explains_itself(name: str, command: click.Command, cli: Cli) -> None:
    text = cli(name, "--help").stdout
    assert f"Example: onnxcam {name}" in " ".join(text.split())
    undocumented = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert undocumented == []


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_example_in_help_parses(name: str, command: click.Command) -> None:
    words = " ".join((command.help or "").split()).split(f"Example: onnxcam {name}")[1].split()
    command.make_context(name, words)


def test_there_is_a_command_for_each_of_this_storey() -> None:
    assert {"explain", "layers", "methods", "rewrite", "check"} <= set(main.commands)
