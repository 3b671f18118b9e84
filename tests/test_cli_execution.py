"""`onnxcam explain`: providers and their options, and many pictures in batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from builders import classifier
from click.testing import Result
from graphs import SIDE, photo, write_picture

from onnxcam.cli.options import provider_specs
from onnxcam.runtime import CPU

Cli = Callable[..., Result]


@pytest.fixture
def open_model(save: Callable[..., Path]) -> Path:
    return save(classifier(("batch", 3, SIDE, SIDE)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "explanations"


@pytest.mark.parametrize(
    ("providers", "options", "specs"),
    [
        ((), (), None),
        (("cuda:1",), (), ["cuda:1"]),
        (("cuda", "cpu"), (), ["cuda", "cpu"]),
        (
            ("tensorrt", "cuda"),
            ("trt_fp16_enable=True", "trt_engine_cache_path=a=b"),
            [
                ("tensorrt", {"trt_fp16_enable": "True", "trt_engine_cache_path": "a=b"}),
                "cuda",
            ],
        ),
    ],
)
def test_providers_in_words(
    providers: tuple[str, ...], options: tuple[str, ...], specs: Any
) -> None:
    assert provider_specs(providers, options) == specs


def test_options_that_are_none(cli: Cli, model_file: Path, picture_file: Path) -> None:
    for words, said in (
        (["--provider", "cpu", "--provider-option", "device"], "write it as NAME=VALUE"),
        (["--provider-option", "device_id=1"], "needs the --provider"),
        (["--batch", "0"], "--batch"),
    ):
        result = cli("explain", model_file, picture_file, *words)
        assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_fallback_is_a_line_on_stderr(
    cli: Cli, model_file: Path, picture_file: Path, folder: Path
) -> None:
    words = ("--provider", "tensorrt", "--provider", "cpu", "--json", "-o", folder)
    result = cli("explain", model_file, picture_file, *words)
    assert result.exit_code == 0
    assert "warning: tensorrt could not be started; running on cpu\n" in result.stderr
    (entry,) = json.loads(result.stdout)
    assert entry["provider"] == CPU


def test_a_check_says_where_it_ran(cli: Cli, model_file: Path) -> None:
    words = ("--provider", "tensorrt", "--provider", "cpu", "--json")
    result = cli("check", model_file, *words)
    assert result.exit_code == 0
    assert "warning: tensorrt could not be started; running on cpu\n" in result.stderr
    assert json.loads(result.stdout)["provider"] == CPU


def test_a_check_has_the_options_of_its_provider(
    cli: Cli, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    session = onnxruntime.InferenceSession

    def started(*arguments: Any, **words: Any) -> Any:
        given.append(words["provider_options"])
        return session(*arguments, **words)

    monkeypatch.setattr(onnxruntime, "InferenceSession", started)
    words = ("--provider", "cpu", "--provider-option", "use_arena=0")
    assert cli("check", model_file, *words).exit_code == 0
    assert len(given) > 1
    assert all(options == [{"use_arena": "0"}] for options in given)


def test_a_provider_by_name_that_does_not_start_is_an_error(
    cli: Cli, model_file: Path, picture_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU]
    )
    for command in (("explain", model_file, picture_file), ("check", model_file)):
        result = cli(*command, "--provider", "cuda")
        assert result.exit_code == 1
        assert "error: CUDAExecutionProvider could not be started" in result.stderr


@pytest.mark.parametrize("batch", [(), ("--batch", "1"), ("--batch", "4")], ids=str)
def test_many_pictures_come_in_order_and_a_broken_one_does_not_stop_them(
    batch: tuple[str, ...], cli: Cli, open_model: Path, tmp_path: Path, folder: Path
) -> None:
    names = [f"{n}/cat.png" for n in range(6)]
    for n, name in enumerate(names):
        write_picture(tmp_path / name, photo(seed=n))
    (tmp_path / "2" / "cat.png").write_text("no picture")
    paths = [tmp_path / name for name in names]
    asked = ("--save", "overlay,raw", "--top", "2", "--json", "-o", folder)
    result = cli("explain", open_model, *paths, *asked, *batch)
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert str(paths[2]) in errors[0]
    entries = json.loads(result.stdout)
    good = [path for n, path in enumerate(paths) if n != 2]
    assert [entry["image"] for entry in entries] == [str(p) for p in good for _ in range(2)]
    stems = [Path(entry["overlay"]).name.split(".")[0] for entry in entries[::2]]
    assert stems == ["cat", "cat-2", "cat-3", "cat-4", "cat-5"]
    for entry, path in zip(entries[::2], good, strict=True):
        alone = cli("explain", open_model, path, *asked[:2], "--json", "-o", folder / "alone")
        raw = np.load(json.loads(alone.stdout)[0]["raw"])
        np.testing.assert_allclose(np.load(entry["raw"]), raw, atol=1e-6 * np.abs(raw).max())


def test_several_methods_of_many_pictures(
    cli: Cli, open_model: Path, tmp_path: Path, folder: Path
) -> None:
    paths = [write_picture(tmp_path / f"{n}.png", photo(seed=n)) for n in range(3)]
    methods = ("--method", "gradcam", "--method", "reciprocam", "--json")
    result = cli("explain", open_model, *paths, *methods, "-o", folder)
    assert [(entry["image"], entry["method"]) for entry in json.loads(result.stdout)] == [
        (str(path), method) for path in paths for method in ("gradcam", "reciprocam")
    ]
    grid = cli("explain", open_model, *paths, *methods, "--style", "grid", "-o", folder)
    overlays = [entry["overlay"] for entry in json.loads(grid.stdout)]
    assert overlays == [str(folder / f"{n}.grid.png") for n in range(3) for _ in range(2)]


def test_what_is_wrong_with_all_pictures_is_said_once(
    cli: Cli, open_model: Path, tmp_path: Path
) -> None:
    paths = [write_picture(tmp_path / f"{n}.png") for n in range(3)]
    result = cli("explain", open_model, *paths, "--target", "99")
    assert result.exit_code == 1
    assert result.stderr.count("error:") == 1
