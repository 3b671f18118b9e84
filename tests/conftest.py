"""What many tests need: models and pictures as files, and the command line in-process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from builders import classifier
from click.testing import CliRunner, Result
from graphs import write_picture

from onnxcam.cli import main

Cli = Callable[..., Result]


@pytest.fixture
def cli() -> Cli:
    """`cli("explain", path, ...)`: the command line's result, stdout and stderr apart."""
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """`save(model, "name.onnx")`: the model's path."""

    def write(model: onnx.ModelProto, name: str = "model.onnx", **how: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(path), **how)
        return path

    return write


@pytest.fixture
def model_file(save: Callable[..., Path]) -> Path:
    """A good little classifier on disk."""
    return save(classifier())


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    """A good picture on disk."""
    return write_picture(tmp_path / "photo.png")
