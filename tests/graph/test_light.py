"""Large weights that stay in the model's own file, instead of a second time in memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxcam
from onnxcam.graph import model_file
from onnxcam.graph.external import LARGEST_READ, completed, is_external
from onnxcam.graph.network import Network

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as a large one."""
    monkeypatch.setattr(model_file, "LARGE", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(MODELS / "shapes_torch.onnx", tmp_path))


def raw(path: Path, method: str) -> np.ndarray:
    x = np.random.default_rng(0).random((1, 3, 96, 96), np.float32)
    return onnxcam.Explainer(path, method).run(x, target=2)["raw"]


def test_a_small_file_is_held_as_it_is(path: Path) -> None:
    assert not any(is_external(tensor) for tensor in Network(path).proto.graph.initializer)


@pytest.mark.usefixtures("light")
def test_the_large_weights_are_left_and_no_others(path: Path) -> None:
    network, whole = Network(path), onnx.load(path)
    left = {t.name for t in network.proto.graph.initializer if is_external(t)}
    assert left == {t.name for t in whole.graph.initializer if np.prod(t.dims) > LARGEST_READ}
    assert left
    assert network.proto.ByteSize() < whole.ByteSize() / 5
    assert network.serialized == path.read_bytes()
    assert network.folder is None
    for tensor in whole.graph.initializer:
        stored = onnx.numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(network.tensors[tensor.name].values, stored)
    copy = onnx.ModelProto()
    copy.CopyFrom(network.proto)
    assert completed(copy) == whole


@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "reciprocam", "fullgrad", "saliency"])
def test_maps_are_the_same(path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = raw(path, method)
    monkeypatch.setattr(model_file, "LARGE", 0)
    np.testing.assert_array_equal(raw(path, method), expected)


@pytest.mark.usefixtures("light")
def test_a_model_of_open_size_is_fixed_all_the_same(tmp_path: Path) -> None:
    model = onnx.load(MODELS / "shapes_torch.onnx")
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"open{axis}"
    onnx.save(model, tmp_path / "open.onnx")
    card = {"size": [96, 96]}
    picture = np.zeros((96, 96, 3), np.uint8)
    found = onnxcam.Explainer(tmp_path / "open.onnx", preprocess=card).explain(picture)
    assert found.raw.shape == (12, 12)


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("change", [os.unlink, lambda path: path.write_bytes(path.read_bytes())])
def test_a_file_written_since_is_not_read(path: Path, change: Callable[[Path], object]) -> None:
    network = Network(path)
    weight = next(t for t in network.proto.graph.initializer if is_external(t))
    network.followed_by(b"")  # the session's
    change(path)
    for ask in (lambda: network.tensors[weight.name].values, lambda: network.serialized):
        with pytest.raises(onnxcam.ModelError, match="changed since the model was read; load it"):
            ask()


@pytest.mark.usefixtures("light")
def test_what_protobuf_reads_and_onnx_never_writes_is_held_as_it_is(path: Path) -> None:
    group = b"\xa3\x06\xa4\x06"  # field 100, of a kind that protobuf has long given up
    path.write_bytes(path.read_bytes() + group)
    assert not any(is_external(tensor) for tensor in Network(path).proto.graph.initializer)


@pytest.mark.usefixtures("light")
def test_a_map_in_the_graph_needs_the_file_no_more(path: Path) -> None:
    explainer = onnxcam.Explainer(path)
    path.unlink()
    assert explainer.run(np.ones((1, 3, 96, 96), np.float32), target=2)["raw"].shape[-1] == 12


@pytest.mark.usefixtures("light")
def test_what_is_saved_is_whole(path: Path, tmp_path: Path) -> None:
    onnxcam.save_model(Network(path).proto, tmp_path / "saved.onnx")
    assert onnx.load(tmp_path / "saved.onnx", load_external_data=False) == onnx.load(path)


@pytest.mark.usefixtures("light")
def test_rewriting_from_a_file_gives_a_whole_model(path: Path) -> None:
    made = onnxcam.rewrite(path)
    assert not any(is_external(tensor) for tensor in made.graph.initializer)
    onnx.checker.check_model(made)
