"""The file that a model was read from, handed on without being written anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from builders import broad, classifier
from google.protobuf.message import DecodeError

from onnxcam.graph.model_file import ModelFile
from onnxcam.graph.network import Network


def test_what_was_read_is_given_again_and_again(model_file: Path) -> None:
    data = model_file.read_bytes()
    file = ModelFile(model_file)
    assert file.parsed() == classifier()
    assert [file.followed_by(added) for added in (b"one", b"", b"two")] == [
        data + b"one", data, data + b"two",
    ]  # fmt: skip


def test_what_was_read_is_given_once_though_the_file_has_changed(model_file: Path) -> None:
    data = model_file.read_bytes()
    file = ModelFile(model_file)
    onnx.save(broad(), model_file)
    assert file.followed_by(b"") == data
    assert file.followed_by(b"") is None


@pytest.mark.parametrize("change", [os.unlink, lambda path: os.utime(path, ns=(0, 0))])
def test_a_file_that_was_touched_is_not_read_again(
    model_file: Path, change: Callable[[Path], object]
) -> None:
    file = ModelFile(model_file)
    file.followed_by(b"")
    change(model_file)
    assert file.followed_by(b"") is None


def test_a_network_of_a_file_that_changed_is_still_the_same(model_file: Path) -> None:
    network = Network(model_file)
    first = network.serialized
    onnx.save(broad(), model_file)
    assert network.serialized == first == network.proto.SerializeToString()


def test_no_file_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ModelFile(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"none")
    with pytest.raises(DecodeError):
        ModelFile(tmp_path / "model.onnx").parsed()
