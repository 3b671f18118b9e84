"""Good models, and requests that make no sense: names of nothing, models that are none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx
import pytest
from builders import classifier
from conftest import Cli

import onnxcam
from onnxcam.errors import LayerError, ModelError, OnnxCamError


@pytest.mark.parametrize(
    ("of", "wrt", "error", "says"),
    [
        ("nowhere", ["image"], LayerError, "no tensor 'nowhere'"),
        ("logit", ["image"], LayerError, "no tensor 'logit'; did you mean 'logits'"),
        ("logits", ["imag"], LayerError, "no tensor 'imag'; did you mean 'image'"),
        ("logits", ["image", "nowhere"], LayerError, "no tensor 'nowhere'"),
        ("logits", "image", LayerError, r"give \['image'\]"),
        ("", ["image"], LayerError, "no tensor ''"),
        ("logits", ["two\nlines"], LayerError, r"no tensor 'two\\nlines'"),
        ("logits", ["n" * 10**5], LayerError, "no tensor 'nnn.* .. .*nnn'"),
        ("image", ["logits"], ModelError, "'image' does not depend differentiably on 'logits'"),
    ],
)
@pytest.mark.parametrize("seed", [False, True])
def test_a_gradient_of_or_by_nothing(
    of: str, wrt: Any, error: type[OnnxCamError], says: str, seed: bool
) -> None:
    with pytest.raises(error, match=says) as raised:
        onnxcam.append_gradients(classifier(), of, wrt, seed)
    assert str(raised.value).isprintable()


def test_a_gradient_by_nothing_at_all_changes_nothing() -> None:
    assert onnxcam.append_gradients(classifier(), "logits", []) == classifier()


def test_a_seed_or_gradient_that_is_there_already() -> None:
    made = onnxcam.append_gradients(classifier(), "logits", ["image"], seed=True)
    for wrt, name in ((["image"], "image_grad"), (["features"], "logits_seed")):
        with pytest.raises(ModelError, match=f"already has a tensor named '{name}'"):
            onnxcam.append_gradients(made, "logits", wrt, seed=True)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (None, "a model is a path or an onnx.ModelProto, not NoneType"),
        (classifier().SerializeToString(), "not bytes"),
        (classifier().graph, "not GraphProto"),
        ("", "is a folder"),
        (os.sep, "is a folder"),
        ("a\nb.onnx", r"a\\nb.onnx: no such file"),
        ("a\0b.onnx", r"a\\x00b.onnx: no such file"),
        ("x" * 10_000, "xxx: no such file"),
        (onnx.ModelProto(), "the given ModelProto: not an ONNX model"),
    ],
)
def test_what_is_no_model(model: Any, says: str) -> None:
    for door in (onnxcam.rewrite, onnxcam.find_layers, onnxcam.Explainer, onnxcam.check.check):
        with pytest.raises(ModelError, match=says) as raised:
            door(model)
        assert str(raised.value).isprintable()


def test_deep_nesting_in_memory() -> None:
    """Built in place; protobuf itself neither copies nor writes it."""
    model = classifier()
    node = model.graph.node[1]
    for level in range(300):
        node.op_type = "If"
        body = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g
        body.output.add(name=f"x{level}")
        node = body.node.add(input=["conv1"], output=[f"x{level}"])
    node.op_type = "Relu"
    with pytest.raises(ModelError, match="nested more than 31 deep"):
        onnxcam.rewrite(model)


def test_operators_are_listed_whatever_the_model(cli: Cli, tmp_path: Path) -> None:
    assert cli("ops").exit_code == 0
    result = cli("ops", tmp_path / "model.onnx")
    assert result.exit_code == 2
    assert "unexpected extra argument" in result.stderr
