"""`onnxcam methods`, `--method` and `--set` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from builders import torch_like
from click.testing import Result
from complaints import complaint
from graphs import photo, write_picture

from onnxcam.methods import methods

Cli = Callable[..., Result]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    model = tmp_path / "model.onnx"
    onnx.save(torch_like(), model)
    return model, write_picture(tmp_path / "photo.png", photo())


def test_every_method_is_listed_with_all_that_is_known(cli: Cli) -> None:
    listed = json.loads(cli("methods", "--json").stdout)
    assert [entry["name"] for entry in listed] == [m.name for m in methods()]
    assert all(entry["needs"] and entry["cost"] and entry["paper"] for entry in listed)
    assert {type(entry["bakes"]) for entry in listed} == {bool}
    assert next(e for e in listed if e["name"] == "rise")["parameters"]


def test_parameters_reach_the_method(cli: Cli, files: tuple[Path, Path]) -> None:
    model, picture = files
    raws = []
    for seed in ("1", "2"):
        folder = picture.parent / seed
        result = cli(
            "explain", model, picture, "--method", "random", "--set", f"seed={seed}",
            "-o", folder, "--preprocess", "0-1", "--save", "raw",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        raws.append(next(folder.iterdir()).read_bytes())
    assert raws[0] != raws[1]


def test_parameters_are_written_into_the_file(cli: Cli, files: tuple[Path, Path]) -> None:
    model, _ = files
    out = model.with_name("out.onnx")
    result = cli("rewrite", model, "-o", out, "--method", "finercam", "--set", "alpha=0.5")
    assert result.exit_code == 0, result.output
    inside = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert json.loads(inside["onnxcam.parameters"]) == {"alpha": 0.5}


@pytest.mark.parametrize(
    ("method", "word", "says"),
    [
        ("rise", "masks", "sets no parameter"),
        ("rise", "sample=3", "no parameter 'sample'; did you mean 'samples'"),
        ("gradcam", "samples=3", "no parameter 'samples'; it has none"),
        ("smoothgrad", "samples=many", "samples"),
    ],
)
def test_parameters_that_do_not_fit(
    cli: Cli, files: tuple[Path, Path], method: str, word: str, says: str
) -> None:
    result = cli("explain", *files, "--method", method, "--set", word)
    assert says in complaint(result)
