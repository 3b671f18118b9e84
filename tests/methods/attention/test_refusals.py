"""What the attention methods cannot follow, and what they make of a whole explanation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from builders import as_float16, classifier
from graphs import CLASSES, Build, photo, weights
from vision_transformers import Transformer

import onnxcam
from onnxcam.errors import LayerError, MethodError, ModelError
from onnxcam.runtime import Runner

METHODS = ["rollout", "chefer", "legrad"]


def windowed() -> onnx.ModelProto:
    """Tokens on 4x4 that attend to one another within windows of 2x2."""
    b = Build((1, 3, 16, 16))
    b.conv("image", "patches", (8, 3, 4, 4), strides=[4, 4], pads=[0, 0, 0, 0])
    b.op("Transpose", ["patches"], "last", perm=[0, 2, 3, 1])
    b.weight("cut", np.array([1, 2, 2, 2, 2, 8]))
    b.op("Reshape", ["last", "cut"], "pieces")
    b.op("Transpose", ["pieces"], "together", perm=[0, 1, 3, 2, 4, 5])
    b.weight("windows", np.array([4, 4, 8]))
    b.op("Reshape", ["together", "windows"], "window")
    b.op("Transpose", ["window"], "keys", perm=[0, 2, 1])
    b.op("MatMul", ["window", "keys"], "affinity")
    b.op("Softmax", ["affinity"], "attention", axis=2)
    b.op("MatMul", ["attention", "window"], "mixed")
    b.weight("back", np.array([1, 16, 8]))
    b.op("Reshape", ["mixed", "back"], "all")
    b.op("Transpose", ["all"], "upright", perm=[0, 2, 1])
    b.op("GlobalAveragePool", ["upright"], "mean")
    b.op("Flatten", ["mean"], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


def pooled_keys() -> onnx.ModelProto:
    """Sixteen tokens attend to the four that a pooling leaves of them."""
    b = Build((1, 3, 16, 16))
    b.conv("image", "patches", (8, 3, 4, 4), strides=[4, 4], pads=[0, 0, 0, 0])
    b.op("AveragePool", ["patches"], "few", kernel_shape=[2, 2], strides=[2, 2])
    b.weight("flat_shape", np.array([1, 8, -1]))
    b.op("Reshape", ["patches", "flat_shape"], "rows")
    b.op("Reshape", ["few", "flat_shape"], "keys")
    b.op("Transpose", ["rows"], "queries", perm=[0, 2, 1])
    b.op("Transpose", ["keys"], "values", perm=[0, 2, 1])
    b.op("MatMul", ["queries", "keys"], "affinity")
    b.op("Softmax", ["affinity"], "attention", axis=2)
    b.op("MatMul", ["attention", "values"], "mixed")
    b.op("Add", ["mixed", "queries"], "sum")
    b.op("Transpose", ["sum"], "upright", perm=[0, 2, 1])
    b.op("GlobalAveragePool", ["upright"], "mean")
    b.op("Flatten", ["mean"], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


def lost_tokens(residual: bool = True) -> onnx.ModelProto:
    """Twelve patches and one token in front, made by one matrix: nothing says where they are."""
    b = Build((1, 3, 8, 8))
    b.op("Flatten", ["image"], "flat")
    b.weight("matrix", weights(192, 13 * 8, scale=0.1))
    b.op("MatMul", ["flat", "matrix"], "long")
    b.weight("shape", np.array([1, 13, 8]))
    b.op("Reshape", ["long", "shape"], "tokens")
    b.op("Transpose", ["tokens"], "keys", perm=[0, 2, 1])
    b.op("MatMul", ["tokens", "keys"], "affinity")
    b.op("Softmax", ["affinity"], "attention", axis=2)
    b.op("MatMul", ["attention", "tokens"], "mixed")
    last = b.op("Add", ["mixed", "tokens"], "sum") if residual else "mixed"
    b.op("Tanh", [last], "final")
    b.weight("first", np.array(0))
    b.op("Gather", ["final", "first"], "read", axis=1)
    b.linear("read", "logits", 8, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (classifier, ModelError, "no attention"),
        (windowed, ModelError, "windows of 4 tokens.*gradcam"),
        (pooled_keys, ModelError, "16 tokens attend to 4.*gradcam"),
        (lost_tokens, LayerError, "13 tokens.*--grid"),
    ],
)
def test_what_cannot_be_followed(
    model: object, error: type[Exception], words: str, method: str
) -> None:
    assert callable(model)
    with pytest.raises(error, match=words):
        onnxcam.Explainer(model(), method=method).run(np.zeros((1, 3, 8, 8), np.float32))


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_is_not_theirs_to_take(method: str) -> None:
    with pytest.raises(LayerError, match="takes no layer"):
        _ = onnxcam.Explainer(Transformer().model(), method=method, layer=0).layers


@pytest.mark.parametrize(
    ("method", "parameters", "words"),
    [
        ("rollout", {"fusion": "median"}, "mean, max, min"),
        ("rollout", {"discard": 1.0}, "below 1"),
        ("rollout", {"discard": -0.1}, "below 1"),
        ("legrad", {"last": 0}, "from 1 on"),
        ("chefer", {"last": 1}, "no parameter"),
    ],
)
def test_wrong_parameters(method: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(MethodError, match=words):
        onnxcam.Explainer(Transformer().model(), method=method, **parameters)


def test_legrad_needs_the_residual_sums() -> None:
    x = np.zeros((1, 3, 8, 8), np.float32)
    model = lost_tokens(residual=False)
    with pytest.raises(ModelError, match=r"no residual sum.*chefer"):
        onnxcam.Explainer(model, method="legrad", grid=(3, 4)).run(x)


@pytest.mark.parametrize("method", METHODS)
def test_a_stated_grid_lays_out_the_last_tokens(method: str) -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    flat = onnxcam.Explainer(lost_tokens(), method=method, grid=(12,)).run(x)["raw"]
    found = onnxcam.Explainer(lost_tokens(), method=method, grid=(3, 4)).run(x)["raw"]
    assert found.shape == (1, 1, 3, 4)
    assert found.max() > found.min()
    np.testing.assert_array_equal(found.reshape(1, 1, 12), flat)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision(method: str) -> None:
    what = Transformer(batch=1)
    x = np.random.default_rng(2).standard_normal((1, 3, *what.size)).astype(np.float32)
    expected = onnxcam.Explainer(what.model(), method=method).run(x, target=1)["raw"]
    halved = onnxcam.Explainer(as_float16(what.model()), method=method)
    found = halved.run(x.astype(np.float16), target=1)["raw"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-2 * expected.max())


@pytest.mark.parametrize("method", METHODS)
def test_they_live_in_the_file(method: str) -> None:
    what = replace(Transformer(), form="microsoft")
    x = np.random.default_rng(3).standard_normal((2, 3, *what.size)).astype(np.float32)
    made = onnxcam.rewrite(what.model(), method, top=2)
    answer = Runner(made).run({"image": x})
    expected = onnxcam.Explainer(what.model(), method=method).run(x, top=2)
    np.testing.assert_allclose(answer["cam"], expected["raw"], rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(answer["cam_target"], expected["target"])


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_is_explained(method: str) -> None:
    what = Transformer()
    found = onnxcam.explain(what.model(), photo(), method=method)
    assert isinstance(found, onnxcam.Explanation)
    assert found.heatmap.shape == what.size
    assert found.heatmap.max() > 0.5
    assert found.layer == "block0.attention, block1.attention"
    assert found.warnings == []
