"""External data: left where they are, found from where the result goes, refused when wrong."""

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
from builders import classifier, head, paddle_like, torch_like
from graphs import Build, photo, pictures, weights
from large import sparse_model
from onnx import TensorProto, helper, numpy_helper

import onnxcam
from onnxcam.errors import ModelError
from onnxcam.graph import external
from onnxcam.graph.external import Place, detached, place_of, places, size_in_bytes, values
from onnxcam.graph.load import load
from onnxcam.graph.network import Network, constant
from onnxcam.runtime import Runner

EXTERNAL = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}

Save = Callable[..., Path]


def broad(opset: int = 18) -> onnx.ModelProto:
    """A classifier with one weight of more elements than are read with the model."""
    b = Build(opset=opset)
    b.conv("image", "conv1", (64, 3, 3, 3), strides=[2, 2])
    b.op("Relu", ["conv1"], "features")
    head(b, channels=64)
    return b.model()


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


# -- reading ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "name",
    ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT4", "UINT4", "FLOAT8E4M3FN",
     "FLOAT8E5M2", "FLOAT4E2M1", "BOOL", "INT64", "COMPLEX64"],
)  # fmt: skip
def test_every_element_type(name: str, tmp_path: Path) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, name))
    array = np.arange(2049).reshape(3, 683).__mod__(2).astype(dtype)
    tensor = numpy_helper.from_array(array, "w")
    model = torch_like()
    model.graph.initializer.append(tensor)
    assert size_in_bytes(tensor) == len(tensor.raw_data)
    onnx.save(model, tmp_path / "m.onnx", **EXTERNAL)
    found = load(tmp_path / "m.onnx").graph.initializer[-1]
    assert external.is_external(found)
    np.testing.assert_array_equal(values(found), array)


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


# -- what onnx-graphsurgeon reads by half -----------------------------------------------------


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "by axis"])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "listed"])
def test_sparse_weights(raw: bool, linear: bool) -> None:
    model = classifier()
    stored = model.graph.initializer
    at = next(i for i, tensor in enumerate(stored) if tensor.name == "logits.weight")
    full = np.where(np.abs(w := numpy_helper.to_array(stored[at])) > 0.3, w, 0)
    del stored[at]
    index = np.flatnonzero(full) if linear else np.argwhere(full)
    parts = [numpy_helper.from_array(x) for x in (full[full != 0], index)]
    if not raw:
        parts = [
            helper.make_tensor("", t.data_type, t.dims, numpy_helper.to_array(t).ravel())
            for t in parts
        ]
    parts[0].name = "logits.weight"
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(*parts, full.shape))
    network = Network(model)
    tensor = network.tensors["logits.weight"]
    np.testing.assert_array_equal(network.value(tensor), full)
    assert (tensor.dtype, tuple(tensor.shape)) == (np.float32, full.shape)
    assert onnxcam.explain(model, photo()).heatmap.max() > 0


def test_an_element_type_from_the_future_is_named() -> None:
    model = classifier()
    model.graph.initializer.add(name="w", data_type=99, dims=[1], raw_data=b"1234")
    with pytest.raises(ModelError, match=r"'w' have the element type 99, which onnx .* newer one"):
        onnxcam.rewrite(model)


def test_weights_in_half_precision_have_a_type_that_numpy_knows() -> None:
    model = torch_like()
    value = np.ones(2, helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
    model.graph.initializer.append(numpy_helper.from_array(value, "w"))
    network = Network(model)
    assert network.graph.tensors() is not None
    assert [t.data_type for t in network.proto.graph.initializer][-1] == TensorProto.BFLOAT16


# -- passing on -------------------------------------------------------------------------------


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
    onnxcam.save_model(onnxcam.rewrite(outside), path)
    found = run(path)
    np.testing.assert_array_equal(found["logits"], before["logits"])
    assert found["cam"].shape == (1, 1, 8, 8)
    beside = sorted(file.name for file in path.parent.iterdir() if file.is_file())
    shared = path.parent == outside.parent
    data = "weights.bin" if shared else "explained.onnx.data"
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
def test_the_command_line_writes_what_runs(outside: Path, cli: Callable[..., object]) -> None:
    path = outside.parent / "out" / "explained.onnx"
    result = cli("rewrite", outside, "-o", path)
    assert result.exit_code == 0, result.output
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
    onnxcam.save_model(classifier(), path)
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
        "import resource, sys, onnxcam; onnxcam.save_model(onnxcam.rewrite(sys.argv[1]), sys.argv[2]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    made = tmp_path / "explained.onnx"
    words = [sys.executable, "-c", code, str(path), str(made)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500
    assert run(made)["cam"].shape == (1, 1, 8, 8)
    assert onnxcam.explain(path, photo()).heatmap.max() > 0
