"""Reading models: external data, cut files, malformed graphs; never a crash, never a hang."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import classifier, conv_trunk, torch_like
from graphs import Build, photo
from onnx import TensorProto, helper

import onnxcam
from onnxcam.errors import ModelError, OnnxCamError
from onnxcam.graph.load import load, modernized, with_picture_size

Save = Callable[..., Path]

EXTERNAL = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}


def test_a_path_in_every_form(save: Save) -> None:
    path = save(classifier())
    assert load(path) == load(str(path)) == classifier()


def test_a_proto_is_returned_as_it_is() -> None:
    model = classifier()
    assert load(model) is model


def test_external_data_is_read(save: Save) -> None:
    path = save(classifier(), "outside.onnx", **EXTERNAL)
    assert (path.parent / "weights.bin").is_file()
    within = onnxcam.explain(classifier(), photo())
    outside = onnxcam.explain(path, photo())
    np.testing.assert_array_equal(outside.raw, within.raw)
    assert onnxcam.rewrite(path).ByteSize() > 4 * 500


def test_external_data_of_a_deep_folder_is_read_from_anywhere(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(classifier(), "a/b/outside.onnx", **EXTERNAL)
    monkeypatch.chdir(path.parent.parent)
    assert onnxcam.find_layers("b/outside.onnx")[0].name == "features"


def test_missing_external_data_is_named(save: Save) -> None:
    path = save(classifier(), "outside.onnx", **EXTERNAL)
    (path.parent / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights are in 'weights\.bin', which is missing"):
        load(path)


def test_external_data_that_is_cut_short(save: Save) -> None:
    path = save(classifier(), "outside.onnx", **EXTERNAL)
    data = path.parent / "weights.bin"
    data.write_bytes(data.read_bytes()[:200])
    with pytest.raises(OnnxCamError) as raised:
        onnxcam.explain(path, photo())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", ""])
def test_external_data_stays_beside_the_model(location: str, save: Save) -> None:
    path = save(classifier(), "deep/outside.onnx", **EXTERNAL)
    (path.parent.parent / "weights.bin").write_bytes((path.parent / "weights.bin").read_bytes())
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError):
        load(path)


def test_every_cut_of_a_file_is_an_error_or_a_model(tmp_path: Path) -> None:
    """Protobuf takes some cuts for whole messages; what is left must still be refused clearly."""
    data = torch_like().SerializeToString()
    path = tmp_path / "cut.onnx"
    loaded = 0
    size = len(data)
    for length in [*range(0, 400, 7), *range(400, size, 97), *range(size - 60, size)]:
        path.write_bytes(data[:length])
        try:
            load(path)
            loaded += 1
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert loaded < 20


def test_changed_bytes_end_in_an_answer_or_a_clear_error() -> None:
    data = bytearray(classifier(("n", 3, 16, 16)).SerializeToString())
    rng = np.random.default_rng(0)
    structure = [k for k in range(len(data)) if 32 <= data[k] < 127 or data[k] < 16]
    for _ in range(300):
        changed = bytearray(data)
        changed[rng.choice(structure)] = rng.integers(0, 256)
        try:
            model = onnx.load_from_string(bytes(changed))
        except Exception:
            continue
        try:
            onnxcam.rewrite(model)
        except OnnxCamError as error:
            assert "\n" not in str(error)  # noqa: PT017


# -- malformed graphs -------------------------------------------------------------------------


def cycle() -> onnx.ModelProto:
    b = Build()
    b.op("Add", ["image", "second"], "first")
    b.op("Relu", ["first"], "second")
    b.output("second", [1, 3, 16, 16])
    return b.model()


def missing_tensor() -> onnx.ModelProto:
    model = classifier()
    model.graph.node[1].input[0] = "nowhere"
    return model


def missing_output() -> onnx.ModelProto:
    model = classifier()
    model.graph.output[0].name = "nowhere"
    return model


def same_name_twice() -> onnx.ModelProto:
    model = classifier()
    model.graph.node[1].output[0] = "conv1"
    return model


def wrong_shapes() -> onnx.ModelProto:
    b = Build()
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 99, 5)
    b.output("logits", [1, 5])
    return b.model()


def wrong_types() -> onnx.ModelProto:
    return classifier(dtype=TensorProto.UINT8)


def no_nodes() -> onnx.ModelProto:
    b = Build()
    b.output("image", [1, 3, 16, 16])
    return b.model()


def no_opset() -> onnx.ModelProto:
    model = classifier()
    del model.opset_import[:]
    return model


def future_opset() -> onnx.ModelProto:
    return classifier(opset=999)


def no_outputs() -> onnx.ModelProto:
    model = classifier()
    del model.graph.output[:]
    return model


def no_inputs() -> onnx.ModelProto:
    model = classifier()
    del model.graph.input[:]
    return model


def unknown_operator() -> onnx.ModelProto:
    model = classifier()
    model.graph.node[1].op_type = "Rellu"
    return model


def custom_operator() -> onnx.ModelProto:
    model = classifier()
    model.graph.node[3].op_type, model.graph.node[3].domain = "MyRelu", "my.company"
    model.opset_import.append(helper.make_opsetid("my.company", 1))
    return model


def input_without_shape() -> onnx.ModelProto:
    model = classifier()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    return model


def sequence_input() -> onnx.ModelProto:
    model = classifier()
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [3]))
    model.graph.input.append(helper.make_value_info("more", kind))
    return model


def scalar_weight() -> onnx.ModelProto:
    model = classifier()
    model.graph.initializer[0].dims[:] = [-1]
    return model


def name_in_another_encoding() -> onnx.ModelProto:
    data = classifier().SerializeToString()
    return onnx.load_from_string(data.replace(b"Relu:relu1", "café_relu1".encode("latin-1")))


def missing_attribute() -> onnx.ModelProto:
    b = Build()
    conv_trunk(b)
    b.op("Concat", ["features", "features"], "joined")
    b.op("GlobalAveragePool", ["joined"], "pooled")
    b.op("Flatten", ["pooled"], "logits")
    b.output("logits", [1, 16])
    return b.model()


@pytest.mark.parametrize(
    "model",
    [
        cycle, missing_tensor, missing_output, same_name_twice, wrong_shapes, wrong_types, no_nodes,
        no_opset, future_opset, no_outputs, no_inputs, unknown_operator, custom_operator,
        input_without_shape, sequence_input, scalar_weight, missing_attribute,
        name_in_another_encoding,
    ],
)  # fmt: skip
def test_a_malformed_graph_is_refused_clearly(model: Callable[[], onnx.ModelProto]) -> None:
    with pytest.raises(OnnxCamError) as raised:
        onnxcam.explain(model(), photo())
    assert "\n" not in str(raised.value)


def test_an_output_without_a_shape_is_no_obstacle() -> None:
    """ONNX Runtime runs such models, though onnx's checker calls them invalid."""
    model = classifier()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert onnxcam.explain(model, photo()).heatmap.max() > 0


# -- changes on the way in --------------------------------------------------------------------


def test_an_old_opset_is_converted() -> None:
    old = classifier(opset=9)
    assert modernized(classifier(opset=11)) is not None
    assert [entry.version for entry in modernized(old).opset_import] == [11]
    assert old.opset_import[0].version == 9
    found = onnxcam.explain(old, photo())
    np.testing.assert_allclose(found.raw, onnxcam.explain(classifier(), photo()).raw, rtol=1e-5)


def test_an_old_opset_that_cannot_be_converted_is_named() -> None:
    model = classifier(opset=9)
    model.graph.node[1].op_type = "Rellu"
    with pytest.raises(ModelError) as raised:
        onnxcam.rewrite(model)
    assert "opset 9" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("layout", "axes"), [("NCHW", (2, 3)), ("NHWC", (1, 2))])
def test_an_open_size_is_fixed_in_a_copy(layout: str, axes: tuple[int, int]) -> None:
    model = classifier(("n", "a", "b", "c"))
    fixed = with_picture_size(model, "image", layout, (20, 30))
    dims = fixed.graph.input[0].type.tensor_type.shape.dim
    assert [dims[axis].dim_value for axis in axes] == [20, 30]
    assert model.graph.input[0].type.tensor_type.shape.dim[axes[0]].dim_param
