"""What is added leaves everything that was there as it was, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import channels_last, classifier, paddle_like, se_like, torch_like, vit_like
from graphs import pictures

import onnxcam
from onnxcam.errors import ModelError

MODELS = [torch_like, classifier, channels_last, paddle_like, se_like, vit_like]


@pytest.mark.parametrize("build", MODELS)
def test_the_original_is_untouched(build: Callable[[], onnx.ModelProto]) -> None:
    model = build()
    made = onnxcam.rewrite(model, top=2)
    for part in ("node", "initializer", "input", "output", "value_info"):
        before, after = getattr(model.graph, part), getattr(made.graph, part)
        assert [item.SerializeToString() for item in after[: len(before)]] == [
            item.SerializeToString() for item in before
        ]
    for field in ("doc_string", "producer_name", "producer_version", "domain", "model_version"):
        assert getattr(made, field) == getattr(model, field)
    assert made.graph.name == model.graph.name
    assert made.graph.doc_string == model.graph.doc_string
    assert list(made.opset_import) == list(model.opset_import)
    assert list(made.metadata_props[: len(model.metadata_props)]) == list(model.metadata_props)


@pytest.mark.parametrize("build", MODELS)
def test_nothing_is_added_that_nobody_reads(build: Callable[[], onnx.ModelProto]) -> None:
    model = build()
    made = onnxcam.rewrite(model, top=2)
    added = made.graph.node[len(model.graph.node) :]
    read = {name for node in made.graph.node for name in node.input}
    read |= {output.name for output in made.graph.output}
    for node in added:
        assert read & set(node.output), node
    for tensor in made.graph.initializer[len(model.graph.initializer) :]:
        assert tensor.name in read


@pytest.mark.parametrize("build", MODELS)
def test_names_are_unique_and_marked(build: Callable[[], onnx.ModelProto]) -> None:
    model = build()
    made = onnxcam.rewrite(model)
    names = [node.name for node in made.graph.node]
    assert max(Counter(names).values()) == 1
    own = {"cam", "cam_target"}
    for node in made.graph.node[len(model.graph.node) :]:
        assert node.name.startswith("onnxcam/")
        assert all(name.startswith("onnxcam/") or name in own for name in node.output)


def test_equal_constants_are_stored_once() -> None:
    model = onnxcam.append_gradients(torch_like(), of="logits", wrt=["image"])
    stored = [
        (t.data_type, tuple(t.dims), onnx.numpy_helper.to_array(t).tobytes())
        for t in model.graph.initializer
        if t.name.startswith("onnxcam/")
    ]
    assert len(stored) == len(set(stored)) > 0


def test_no_weight_is_copied() -> None:
    """The last linear layer's rows are gathered from the weights that are there."""
    model = classifier()
    assert onnxcam.rewrite(model).ByteSize() - model.ByteSize() < 4000


@pytest.mark.parametrize("name", ["cam", "cam_target", "cam_class"])
def test_a_name_that_is_taken_is_an_error(name: str) -> None:
    model = classifier()
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if other == "relu1" else other for other in names]
    with pytest.raises(ModelError, match=f"'{name}'"):
        onnxcam.rewrite(model)


def test_an_old_format_version_is_raised() -> None:
    model = classifier(opset=11)
    model.ir_version = 3
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims)
        for t in model.graph.initializer
    )
    made = onnxcam.rewrite(model)
    assert made.ir_version == 4
    onnx.checker.check_model(made, full_check=True)
    answer = onnxcam.Explainer(model).run(pictures())
    assert answer["raw"].shape == (1, 1, 8, 8)


def test_external_data_can_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "outside.onnx"
    how = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    onnx.save(torch_like(), str(path), **how)
    made = onnxcam.rewrite(path)
    again = tmp_path / "again" / "explained.onnx"
    again.parent.mkdir()
    onnx.save(made, str(again), **how | {"size_threshold": 100})
    onnx.checker.check_model(str(again), full_check=True)
    stored = onnx.load(again).graph.initializer
    for before, after in zip(torch_like().graph.initializer, stored, strict=False):
        np.testing.assert_array_equal(
            onnx.numpy_helper.to_array(after), onnx.numpy_helper.to_array(before)
        )


def test_a_file_and_its_proto_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(torch_like(), str(path))
    assert onnxcam.rewrite(path) == onnxcam.rewrite(torch_like())
    x = pictures(2)
    file, proto = onnxcam.Explainer(path).run(x), onnxcam.Explainer(torch_like()).run(x)
    np.testing.assert_array_equal(file["raw"], proto["raw"])


def test_a_file_that_changes_behind_our_back_does_no_harm(tmp_path: Path) -> None:
    """The model that was understood is the model that runs."""
    path = tmp_path / "m.onnx"
    onnx.save(torch_like(), str(path))
    x = pictures()
    expected = onnxcam.Explainer(path).run(x)["raw"]
    explainer = onnxcam.Explainer(path)
    path.unlink()
    np.testing.assert_array_equal(explainer.run(x)["raw"], expected)
