"""What the page reads from an ONNX file by itself."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from builders import classifier

import onnxcam

pytestmark = pytest.mark.browser

Run = Callable[..., Any]

BYTES = "Uint8Array.from(atob(text), c => c.charCodeAt(0))"
ATTEMPT = f"""(m, text) => {{
    try {{ new m.OnnxFile({BYTES}, 'x.onnx') }} catch (e) {{ return e.message }} }}"""
MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def rewritten() -> onnx.ModelProto:
    model = onnx.load(MODELS / "shapes_torch.onnx")
    onnx.helper.set_model_props(
        model, {p.key: p.value for p in model.metadata_props} | {"größe": "☃" * 100, "none": ""}
    )
    return onnxcam.rewrite(model)


def test_metadata_is_read(run: Run, rewritten: onnx.ModelProto) -> None:
    code = f"(m, text) => [...new m.OnnxFile({BYTES}, 'x').metadata]"
    found = dict(run("onnx-file", code, _text(rewritten)))
    assert found == {entry.key: entry.value for entry in rewritten.metadata_props}
    assert found["größe"] == "☃" * 100


def test_nodes_are_read(run: Run, rewritten: onnx.ModelProto) -> None:
    code = f"(m, text) => new m.OnnxFile({BYTES}, 'x').nodes"
    found = run("onnx-file", code, _text(rewritten))
    assert [(one["operator"], one["inputs"], one["outputs"]) for one in found] == [
        (node.op_type, list(node.input), list(node.output)) for node in rewritten.graph.node
    ]


def test_a_default_is_taken_out_and_nothing_else(run: Run, rewritten: onnx.ModelProto) -> None:
    code = f"""(m, text) => {{
        const bytes = new m.OnnxFile({BYTES}, 'x').requiring('cam_class');
        return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join('')) }}"""
    found = onnx.ModelProto.FromString(base64.b64decode(run("onnx-file", code, _text(rewritten))))
    expected = onnx.ModelProto()
    expected.CopyFrom(rewritten)
    kept = [one for one in rewritten.graph.initializer if one.name != "cam_class"]
    assert len(kept) == len(rewritten.graph.initializer) - 1
    del expected.graph.initializer[:]
    expected.graph.initializer.extend(kept)
    assert found == expected


def test_inputs_that_may_be_left_out_are_known(run: Run, rewritten: onnx.ModelProto) -> None:
    code = f"(m, text) => [...new m.OnnxFile({BYTES}, 'x').optional]"
    assert run("onnx-file", code, _text(rewritten)) == ["cam_class"]


@pytest.mark.parametrize(
    "data",
    [b"", b"not a model at all", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(1000), b"\xff" * 50],
    ids=["empty", "text", "png", "zeros", "ones"],
)
def test_what_is_no_model_is_said(run: Run, data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert "x.onnx is not an ONNX model" in run("onnx-file", ATTEMPT, text)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_short_is_said(run: Run, share: float) -> None:
    data = classifier().SerializeToString()
    text = base64.b64encode(data[: int(len(data) * share)]).decode()
    assert "cut short" in run("onnx-file", ATTEMPT, text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("shapes_torch", "logits"), ("shapes_keras", "softmax"), ("lesions_keras", "sigmoid")],
)
def test_the_end_of_a_model_is_known(run: Run, name: str, kind: str) -> None:
    model = onnx.load(MODELS / f"{name}.onnx")
    code = f"""async (m, text, output) => {{
        const file = await import('/demo/js/onnx-file.js');
        return m.scoreKind(new file.OnnxFile({BYTES}, 'x'), output) }}"""
    assert run("scores", code, _text(model), model.graph.output[0].name) == kind


def test_probabilities(run: Run) -> None:
    code = "(m, values, kind) => m.probabilities(values, kind)"
    logits = np.array([3.0, -1.0, 900.0, 899.0])
    shares = np.exp(logits - 900) / np.exp(logits - 900).sum()
    np.testing.assert_allclose(run("scores", code, logits.tolist(), "logits"), shares)
    halves = run("scores", code, np.log([0.5, 0.5]).tolist(), "log_softmax")
    np.testing.assert_allclose(halves, [0.5, 0.5])
    assert run("scores", code, [0.25], "sigmoid") == [0.75, 0.25]
    assert run("scores", code, [0.0], "logits") == [0.5]


def test_half_precision(run: Run) -> None:
    edges = [0, -0.0, 1, -2.5, 65504, 65519.9, 65520, 1e9, 2049, 2051]
    subnormal = [6e-8, 5.96e-8, 2.98e-8, 3e-8, 6.1e-5, 6.105e-5]
    usual = np.random.default_rng(1).standard_normal(500)
    values = np.concatenate([edges, subnormal, usual]).astype(np.float32)
    code = "(m, values) => Array.from(m.stored(Float32Array.from(values), 'float16'))"
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    assert run("tensors", code, values.tolist()) == expected.view(np.uint16).tolist()
    back = """(m, bits) => Array.from(
        m.numbers({type: 'float16', data: Uint16Array.from(bits)}), String)"""
    found = [float(text) for text in run("tensors", back, expected.view(np.uint16).tolist())]
    np.testing.assert_array_equal(found, expected.astype(np.float64))


def test_bytes_are_rounded_and_cut_off(run: Run) -> None:
    code = "(m, values) => Array.from(m.stored(Float32Array.from(values), 'uint8'))"
    assert run("tensors", code, [-3, 0.5, 1.5, 254.6, 300]) == [0, 0, 2, 255, 255]


@pytest.mark.parametrize(
    ("words", "index"),
    [("tabby", 1), ("TABBY CAT", 1), ("2", 2), ("cat", 0), ("3", -1), ("dog", -1), ("", -1)],
)
def test_a_class_by_name_synonym_or_number(run: Run, words: str, index: int) -> None:
    labels = ["cat", "tabby, tabby cat", "lynx"]
    code = "(m, words, labels) => m.classNamed(words, labels, labels.length)"
    assert run("card", code, words, labels) == index


def _text(model: onnx.ModelProto) -> str:
    return base64.b64encode(model.SerializeToString()).decode()
