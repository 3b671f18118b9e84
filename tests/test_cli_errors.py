"""Whatever goes in: one line on stderr that names the thing, exit status 1 or 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from builders import classifier, conv_trunk, head, mlp, two_inputs, with_operator
from click.testing import Result
from complaints import complaint
from graphs import Build, photo, weights, write_picture
from onnx import TensorProto

import onnxcam
from onnxcam.autodiff import registry

Cli = Callable[..., Result]
Save = Callable[..., Path]


def integer_output() -> onnx.ModelProto:
    b = Build()
    conv_trunk(b)
    head(b)
    b.outputs.clear()
    b.op("Cast", ["logits"], "whole", to=TensorProto.INT64)
    b.output("whole", [1, 5], TensorProto.INT64)
    return b.model()


def constant_scores() -> onnx.ModelProto:
    b = Build()
    conv_trunk(b)
    b.weight("stored", weights(1, 5))
    b.op("Identity", ["stored"], "scores")
    b.output("scores", [1, 5])
    return b.model()


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "text": (b"hello, this is no model\n" * 20, "not a"),
    "empty": (b"", "no graph"),
    "random": (bytes(range(256)) * 8, "not a"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a"),
    "cut": (classifier().SerializeToString()[:700], "cut short"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("command", ["explain", "layers", "check"])
def test_a_file_that_is_no_model(
    name: str, command: str, cli: Cli, tmp_path: Path, picture_file: Path
) -> None:
    data, words = BAD_FILES[name]
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    line = complaint(cli(command, path, *([picture_file] if command == "explain" else [])))
    assert words in line
    assert "bad.onnx" in line


@pytest.mark.parametrize("command", ["explain", "layers", "check", "rewrite"])
def test_no_such_file(command: str, cli: Cli, tmp_path: Path) -> None:
    more = {"explain": ["x.png"], "rewrite": ["-o", tmp_path / "o.onnx"]}.get(command, [])
    assert "no such file" in complaint(cli(command, tmp_path / "none.onnx", *more))


def test_a_name_too_long_for_the_file_system(
    cli: Cli, model_file: Path, picture_file: Path
) -> None:
    name = "x" * 5000
    complaint(cli("layers", name))
    complaint(cli("explain", model_file, name))
    for option in ("--preprocess", "--labels"):
        complaint(cli("explain", model_file, picture_file, option, name))


def test_a_folder(cli: Cli, tmp_path: Path) -> None:
    assert "folder" in complaint(cli("layers", tmp_path))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (integer_output, "no float output"),
        (mlp, "spatial"),
        (constant_scores, "spatial"),
        (two_inputs, "gain"),
    ],
)
def test_a_model_that_cannot_be_explained(
    model: Callable[[], onnx.ModelProto], words: str, cli: Cli, save: Save, picture_file: Path
) -> None:
    line = complaint(cli("explain", save(model()), picture_file))
    assert words in line


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--layer", "featurs", "'features'"),
        ("--layer", "99", "layers 0 to"),
        ("--layer", "-1", "layers 0 to"),
        ("--layer", "²", "no layer"),
        ("--layer", "logits", "not a feature map"),
        ("--method", "gradcan", "'gradcam'"),
        ("--preprocess", "imagnet", "'imagenet'"),
        ("--preprocess", "none.json", "presets: imagenet"),
        ("--style", "blnd", "'blend'"),
        ("--colormap", "virids", "'viridis'"),
        ("--save", "overly", "'overlay'"),
        ("--save", "", "cannot save"),
        ("--alpha", "1.5", "between 0 and 1"),
        ("--alpha", "nan", "between 0 and 1"),
        ("--provider", "cp", "'cpu'"),
        ("--provider", "tensorrt", "this onnxruntime has: "),
        ("--target", "5", "classes 0 to 4"),
        ("--target", "-1", "classes 0 to 4"),
        ("--target", "--5", "no label '--5'"),
        ("--target", "9" * 30, "no label"),
        ("--target", "tabby", "no labels"),
        ("--top", "0", "out of range"),
        ("--top", "-1", "out of range"),
        ("--top", "6", "has 5 classes"),
        ("--top", "1000000000000000", "has 5 classes"),
        ("--labels", "none.txt", "none.txt"),
    ],
)
def test_an_option_that_means_nothing(
    option: str, value: str, words: str, cli: Cli, model_file: Path, picture_file: Path
) -> None:
    out = picture_file.parent / "out"
    result = cli("explain", model_file, picture_file, "-o", out, f"{option}={value}")
    assert words in complaint(result)
    assert result.stdout == ""
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--score", "margin"), ("--top", "two"), ("--alpha", "half"), ("--nonsense", "1")],
)
def test_wrong_usage_has_status_2(
    option: str, value: str, cli: Cli, model_file: Path, picture_file: Path
) -> None:
    result = cli("explain", model_file, picture_file, option, value)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_a_label_offers_the_nearest(
    cli: Cli, model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\nbird\nfish\nhorse\n")
    options = ["--labels", labels, "--target", "hors"]
    assert "'horse'" in complaint(cli("explain", model_file, picture_file, *options))


def test_target_and_top_exclude_each_other(cli: Cli, model_file: Path, picture_file: Path) -> None:
    line = complaint(cli("explain", model_file, picture_file, "--target", "1", "--top", "2"))
    assert "not both" in line


def test_no_onnxruntime_says_what_to_install(
    cli: Cli, model_file: Path, picture_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = complaint(cli("explain", model_file, picture_file))
    assert "onnxcam[cpu]" in line
    assert "onnxcam[gpu]" in line


def test_an_operator_without_a_derivative_is_named(
    cli: Cli, save: Save, picture_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry._DERIVATIVES, ("", "Elu"))
    model = save(with_operator("Elu"))
    line = complaint(cli("explain", model, picture_file, "--layer", "conv1"))
    for words in ("the_odd_one", "Elu", "opset 18", "layer"):
        assert words in line
    result = cli("check", model, "--layer", "conv1")
    assert result.exit_code == 1
    assert "--layer 'features' works" in result.stdout


def test_names_that_are_taken(cli: Cli, save: Save, picture_file: Path) -> None:
    """Of a rewritten model whose metadata somebody dropped nothing tells what was added."""
    rewritten = onnxcam.rewrite(classifier())
    del rewritten.metadata_props[:]
    model = save(rewritten)
    for result in (
        cli("rewrite", model, "-o", picture_file.parent / "again.onnx"),
        cli("explain", model, picture_file),
    ):
        assert "before it was rewritten" in complaint(result)


BAD_PICTURES: dict[str, bytes] = {
    "text.png": b"no picture at all",
    "empty.png": b"",
    "header.jpg": b"\xff\xd8\xff\xe0" + bytes(30),
}


@pytest.mark.parametrize("name", [*BAD_PICTURES, "missing.png", "cut.png", "cut.jpg", "folder"])
def test_a_bad_picture(name: str, cli: Cli, model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name.startswith("cut"):
        whole = write_picture(path, photo(80, 80)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif name in BAD_PICTURES:
        path.write_bytes(BAD_PICTURES[name])
    result = cli("explain", model_file, path, "--json")
    assert name in complaint(result)
    assert result.stdout.strip() == "[]"


def test_an_output_folder_that_cannot_be_made(
    cli: Cli, model_file: Path, picture_file: Path
) -> None:
    below_a_file = picture_file / "out"
    assert "cannot be written" in complaint(
        cli("explain", model_file, picture_file, "-o", below_a_file)
    )
    assert "cannot be written" in complaint(
        cli("rewrite", model_file, "-o", below_a_file / "new.onnx")
    )
    assert "cannot be written" in complaint(cli("rewrite", model_file, "-o", picture_file.parent))


def test_an_unknown_profile(cli: Cli, model_file: Path, tmp_path: Path) -> None:
    result = cli("rewrite", model_file, "-o", tmp_path / "o.onnx", "--profile", "gpu")
    assert result.exit_code == 2
    assert "'portable'" in result.output


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "onnxcam", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_in_a_process_of_its_own(model_file: Path, tmp_path: Path) -> None:
    """Nothing else writes to stderr either: no native library, no warning of Python's."""
    path = write_picture(tmp_path / "cut.png", photo(80, 80))
    path.write_bytes(path.read_bytes()[:5000])
    done = run("explain", model_file, path, "--json", "--preprocess", "0-1")
    assert done.returncode == 1
    assert done.stdout.strip() == "[]"
    assert done.stderr.splitlines() == [f"error: {path}: the file is cut short; copy it again"]


def test_wrong_usage_in_a_process_of_its_own() -> None:
    done = run("explain")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "MODEL" in done.stderr
