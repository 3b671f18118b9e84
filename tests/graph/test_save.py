"""Models with weights outside, handed on and written: what comes out runs from its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from builders import broad, classifier, conv_trunk, head
from click.testing import Result
from graphs import Build, photo, pictures
from large import sparse_model

import onnxcam
from onnxcam.check import check
from onnxcam.errors import ModelError
from onnxcam.graph import external
from onnxcam.graph.external import Place, detached, place_of, places
from onnxcam.graph.load import load
from onnxcam.graph.network import Network
from onnxcam.runtime import Runner

EXTERNAL = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}

Save = Callable[..., Path]


@pytest.fixture
def outside(save: Save) -> Path:
    """`broad` with all its weights in `weights.bin`."""
    return save(broad(), "outside.onnx", **EXTERNAL)


def run(model: Path | onnx.ModelProto) -> dict[str, np.ndarray]:
    """What ONNX Runtime itself makes of a model, given nothing but the file."""
    data = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": pictures()}), strict=True))


@pytest.fixture
def small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a message could not hold `broad`'s weights."""
    monkeypatch.setattr(external, "LARGEST_MESSAGE", 6000)


def test_what_fits_is_returned_complete(outside: Path) -> None:
    made = onnxcam.rewrite(outside)
    assert places(made) == []
    np.testing.assert_array_equal(run(made)["cam"], run(onnxcam.rewrite(broad()))["cam"])
    assert places(onnxcam.append_gradients(outside, "logits", ["image"])) == []


@pytest.mark.usefixtures("small_messages")
def test_what_does_not_fit_can_be_used_like_any_other(outside: Path) -> None:
    made = onnxcam.append_gradients(outside, "logits", ["features"])
    assert places(made) == [Place(outside.parent / "weights.bin", 0, 6912)]
    found = Runner(made).run({"image": pictures()})
    expected = run(onnxcam.append_gradients(broad(), "logits", ["features"]))
    np.testing.assert_array_equal(found["features_grad"], expected["features_grad"])
    again = onnxcam.append_gradients(made, "logits", ["conv1"])
    assert "conv1_grad" in Runner(again).run({"image": pictures()})


def test_the_gradient_behind_a_weight_that_is_outside_is_checked(save: Save) -> None:
    """The check computes the layers behind the target in float64, so it reads their weights."""
    b = Build()
    b.op("Relu", [conv_trunk(b)], "again")
    b.conv("again", "conv3", (64, 8, 3, 3))
    head(b, "conv3", channels=64)
    path = save(b.model(), "outside.onnx", **EXTERNAL)
    within, outside = check(b.model(), "features"), check(path, "features")
    assert outside.passed
    assert outside.errors == within.errors


def test_a_session_reads_no_weight_twice(outside: Path) -> None:
    network = Network(outside)
    assert network.folder == outside.parent
    assert len(network.serialized) < 2000 + 4 * 500
    bare, folder = detached(network.proto)
    assert (bare.SerializeToString(), folder) == (network.serialized, network.folder)
    assert place_of(network.proto.graph.initializer[0]).length == 6912


# -- writing ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_messages")
@pytest.mark.parametrize("target", ["explained.onnx", "sub/explained.onnx", "outside.onnx"])
def test_a_rewritten_model_runs_from_its_own_folder(target: str, outside: Path) -> None:
    before = run(outside)
    path = outside.parent / target
    files = onnxcam.save_model(onnxcam.rewrite(outside), path)
    found = run(path)
    np.testing.assert_array_equal(found["logits"], before["logits"])
    assert found["cam"].shape == (1, 1, 8, 8)
    beside = sorted(file.name for file in path.parent.iterdir() if file.is_file())
    shared = path.parent == outside.parent
    data = "weights.bin" if shared else "explained.onnx.data"
    assert files == [path, path.parent / data]
    assert beside == sorted({path.name, data, *(["outside.onnx"] if shared else [])})
    if not shared:
        (outside.parent / "weights.bin").unlink()
        np.testing.assert_array_equal(run(path)["cam"], found["cam"])


@pytest.mark.usefixtures("small_messages")
def test_many_files_become_one(save: Save, tmp_path: Path) -> None:
    b = Build()
    b.conv("image", "conv1", (64, 3, 3, 3))
    b.conv("conv1", "conv2", (8, 64, 3, 3))
    b.op("Relu", ["conv2"], "features")
    head(b)
    how = {"save_as_external_data": True, "all_tensors_to_one_file": False, "size_threshold": 0}
    path = save(b.model(), "deep/m.onnx", **how)
    before = run(path)
    onnxcam.save_model(onnxcam.rewrite(path), tmp_path / "new" / "m.onnx")
    assert {file.name for file in (tmp_path / "new").iterdir()} == {"m.onnx", "m.onnx.data"}
    np.testing.assert_array_equal(run(tmp_path / "new" / "m.onnx")["logits"], before["logits"])
    offsets = [p.offset for p in places(load(tmp_path / "new" / "m.onnx"))]
    assert [offset % 65536 for offset in offsets] == [0, 0]


@pytest.mark.usefixtures("small_messages")
def test_a_copy_that_the_kernel_cannot_make(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refused)
    onnxcam.save_model(onnxcam.rewrite(outside), outside.parent / "sub" / "m.onnx")
    np.testing.assert_array_equal(
        run(outside.parent / "sub" / "m.onnx")["logits"], run(outside)["logits"]
    )


@pytest.mark.usefixtures("small_messages")
def test_the_command_line_writes_what_runs(outside: Path, cli: Callable[..., Result]) -> None:
    path = outside.parent / "out" / "explained.onnx"
    result = cli("rewrite", outside, "-o", path)
    assert result.exit_code == 0, result.output
    assert f"weights in {path}.data" in result.stdout
    assert run(path)["cam"].shape == (1, 1, 8, 8)


@pytest.mark.usefixtures("small_messages")
def test_a_target_that_would_overwrite_the_weights(outside: Path, tmp_path: Path) -> None:
    """Some of the weights are already there, under the name that the copy would get."""
    made = onnxcam.rewrite(outside)
    (tmp_path / "weights.bin").rename(tmp_path / "m.onnx.data")
    more = made.graph.initializer.add()
    more.CopyFrom(made.graph.initializer[0])
    for tensor, folder in ((made.graph.initializer[0], tmp_path), (more, tmp_path.parent)):
        said = {"location": "m.onnx.data", "basepath": str(folder)}
        for entry in tensor.external_data:
            entry.value = said.get(entry.key, entry.value)
    with pytest.raises(ModelError, match="holds weights of the model itself"):
        onnxcam.save_model(made, tmp_path / "m.onnx")


def test_a_model_is_written_into_new_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "m.onnx"
    assert onnxcam.save_model(classifier(), path) == [path]
    assert onnx.load(path) == classifier()


def test_a_model_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot be written"):
        onnxcam.save_model(classifier(), tmp_path / "file" / "m.onnx")


# -- large ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_more_than_two_gigabytes(tmp_path: Path) -> None:
    """A sparse file of 2.5 GB: a few blocks on the disk, and as little memory."""
    path = sparse_model(tmp_path, 2.5e9)
    code = (
        "import resource, sys, onnxcam; "
        "onnxcam.save_model(onnxcam.rewrite(sys.argv[1]), sys.argv[2]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    made = tmp_path / "explained.onnx"
    words = [sys.executable, "-c", code, str(path), str(made)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500
    assert run(made)["cam"].shape == (1, 1, 8, 8)
    assert onnxcam.explain(path, photo()).heatmap.max() > 0
