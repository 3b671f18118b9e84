"""External data: left where they are, found from where the result goes, refused when wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import broad, head, paddle_like
from graphs import Build, photo, weights
from onnx import helper, numpy_helper

import onnxcam
from onnxcam.errors import ModelError
from onnxcam.graph import external
from onnxcam.graph.external import Place, places, values
from onnxcam.graph.load import load
from onnxcam.graph.network import Network, constant

EXTERNAL = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}

Save = Callable[..., Path]


@pytest.fixture
def outside(save: Save) -> Path:
    """`broad` with all its weights in `weights.bin`."""
    return save(broad(), "outside.onnx", **EXTERNAL)


def test_large_weights_stay_outside_and_small_ones_are_read(outside: Path) -> None:
    stored = {tensor.name: tensor for tensor in load(outside).graph.initializer}
    assert {name for name, t in stored.items() if external.is_external(t)} == {"conv1.weight"}
    for tensor in broad().graph.initializer:
        np.testing.assert_array_equal(values(stored[tensor.name]), numpy_helper.to_array(tensor))


def test_no_value_is_read_until_somebody_asks(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Place] = []
    original = Place.read
    monkeypatch.setattr(Place, "read", lambda place: read.append(place) or original(place))
    explainer = onnxcam.Explainer(outside)
    raw = explainer.explain(photo()).raw
    assert max(place.length for place in read) < 4 * 1024
    np.testing.assert_array_equal(raw, onnxcam.explain(broad(), photo()).raw)
    weight = explainer.network.tensors["conv1.weight"]
    np.testing.assert_array_equal(
        explainer.network.value(weight), numpy_helper.to_array(broad().graph.initializer[0])
    )
    assert read[-1].length == 4 * 64 * 27


def test_weights_in_constant_nodes_and_in_branches(save: Save) -> None:
    b = Build()
    stored = {name: weights(64, 3, 3, 3, seed=k) for k, name in enumerate(("main", "inner"))}
    b.op("Constant", [], "main", value=numpy_helper.from_array(stored["main"]))
    branches = []
    for scale in (1.0, 2.0):
        inner = numpy_helper.from_array(stored["inner"] * np.float32(scale), "inner")
        node = helper.make_node("Add", ["main", "inner"], ["sum"])
        out = helper.make_tensor_value_info("sum", 1, [64, 3, 3, 3])
        branches.append(helper.make_graph([node], "branch", [], [out], [inner]))
    b.weight("yes", np.array(True))
    b.op("If", ["yes"], "w", then_branch=branches[0], else_branch=branches[1])
    b.op("Conv", ["image", "w"], "features", pads=[1] * 4)
    head(b, channels=64)
    path = save(b.model(), "m.onnx", **EXTERNAL, convert_attribute=True)
    network = Network(path)
    assert [place.length for place in places(network.proto)] == [4 * 64 * 27]
    np.testing.assert_array_equal(constant(network.tensors["main"]), stored["main"])
    np.testing.assert_array_equal(
        onnxcam.explain(path, photo(), layer="features").raw,
        onnxcam.explain(b.model(), photo(), layer="features").raw,
    )


def test_paddle_weights_outside(save: Save) -> None:
    path = save(paddle_like(), "paddle.onnx", **EXTERNAL, convert_attribute=True)
    np.testing.assert_array_equal(
        onnxcam.explain(path, photo()).raw, onnxcam.explain(paddle_like(), photo()).raw
    )


def test_an_old_opset_outside(save: Save) -> None:
    path = save(broad(opset=9), "old.onnx", **EXTERNAL)
    np.testing.assert_array_equal(
        onnxcam.explain(path, photo()).raw, onnxcam.explain(broad(opset=9), photo()).raw
    )


def change(path: Path, name: str, **entries: str) -> None:
    """Say something else of where a weight is."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            for entry in tensor.external_data:
                entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"offset": "999999"}, r"'weights.bin' is cut short.*'conv1.weight' end at 1006911"),
        ({"offset": "-4"}, r"'conv1.weight', \[64, 3, 3, 3\], take 6912 bytes, but .* at -4"),
        ({"offset": "much"}, r"invalid literal.*'much'"),
        ({"length": "12"}, r"take 6912 bytes, but 12 at 0 in 'weights.bin'"),
        ({"location": "../weights.bin"}, "not inside its folder"),
        ({"location": "a/../weights.bin"}, "not inside its folder"),
        ({"location": "/etc/hostname"}, "not inside its folder"),
        ({"location": ""}, "not inside its folder"),
        ({"location": "other.bin"}, r"'other.bin', which is missing"),
        ({"location": "*/_ORT_MEM_ADDR_/*"}, "is missing"),
    ],
)
def test_a_wrong_place_is_one_clear_line(
    entries: dict[str, str], words: str, outside: Path
) -> None:
    change(outside, "conv1.weight", **entries)
    with pytest.raises(ModelError, match=words) as raised:
        load(outside)
    assert "\n" not in str(raised.value)
    assert str(outside) in str(raised.value)


def test_a_place_that_is_no_text_or_leads_in_circles(outside: Path) -> None:
    data = outside.read_bytes()
    outside.write_bytes(data.replace(b"weights.bin", b"weights.\xffin"))
    with pytest.raises(ModelError, match=str(outside)):
        load(outside)
    outside.write_bytes(data)
    (outside.parent / "weights.bin").unlink()
    (outside.parent / "weights.bin").symlink_to("weights.bin")
    with pytest.raises(ModelError, match=str(outside)):
        load(outside)


def test_a_folder_that_a_file_names_itself_is_ignored(outside: Path, tmp_path: Path) -> None:
    model = onnx.load(outside, load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.external_data.add(key="basepath", value=str(tmp_path / "elsewhere"))
    outside.write_bytes(model.SerializeToString())
    assert {place.file.parent for place in places(load(outside))} == {outside.parent}


def test_links_as_download_caches_make_them(outside: Path, tmp_path: Path) -> None:
    """The model and its weights are links into one folder, where they have other names."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir(), snapshot.mkdir()
    for name, blob in (("outside.onnx", "1f"), ("weights.bin", "2a")):
        (tmp_path / name).rename(blobs / blob)
        (snapshot / name).symlink_to(Path("..", "blobs", blob))
    found = onnxcam.explain(snapshot / "outside.onnx", photo())
    np.testing.assert_array_equal(found.raw, onnxcam.explain(broad(), photo()).raw)


def test_a_link_that_leads_out_of_the_folder(outside: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    outside.rename(deep / "outside.onnx")
    (deep / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(ModelError, match="a link to a file outside its folder"):
        load(deep / "outside.onnx")


def test_a_proto_that_does_not_say_where_its_weights_are(outside: Path) -> None:
    with pytest.raises(ModelError, match=r"'weights.bin', and the ModelProto .* the model's path"):
        onnxcam.rewrite(onnx.load(outside, load_external_data=False))


def test_weights_that_vanish_later(outside: Path) -> None:
    network = Network(outside)
    os.truncate(outside.parent / "weights.bin", 100)
    with pytest.raises(ModelError, match=r"got shorter since the model was read"):
        network.value(network.tensors["conv1.weight"])
    (outside.parent / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"cannot be read"):
        network.value(network.tensors["conv1.weight"])


def test_a_proto_larger_than_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.graph.load.LARGEST_MESSAGE", 6000)
    with pytest.raises(ModelError, match=r"more than 2 GB.*save_as_external_data"):
        onnxcam.rewrite(broad())
