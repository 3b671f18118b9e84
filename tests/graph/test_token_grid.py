"""How tokens lie in the picture: found in the graph, or said where the graph does not tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from builders import classifier
from graphs import CLASSES, Build, photo, weights, write_picture
from vision_transformers import WIDTH, Transformer

import onnxcam
from onnxcam.errors import LayerError, ModelError
from onnxcam.graph.layers import rank_layers
from onnxcam.graph.named_layers import resolve_layer, resolve_layers
from onnxcam.graph.network import Network
from onnxcam.graph.roles import follow_roles
from onnxcam.graph.stated_grid import OnGrid, placed


def finished(b: Build, tokens: str, width: int = WIDTH) -> onnx.ModelProto:
    """The mean of all tokens, classified."""
    b.op("Tanh", [tokens], "last")
    b.op("Transpose", ["last"], "upright", perm=[0, 2, 1])
    b.op("GlobalAveragePool", ["upright"], "mean")
    b.op("Flatten", ["mean"], "flat")
    b.linear("flat", "logits", width, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def channels_last_patches() -> onnx.ModelProto:
    """Keras-like: NHWC, a strided convolution, and a reshape of its channels-last result."""
    b = Build(("n", 16, 12, 3))
    b.op("Transpose", ["image"], "nchw", perm=[0, 3, 1, 2])
    b.conv("nchw", "patches", (WIDTH, 3, 4, 4), strides=[4, 4], pads=[0, 0, 0, 0])
    b.op("Transpose", ["patches"], "nhwc", perm=[0, 2, 3, 1])
    b.weight("flat_shape", np.array([-1, 12, WIDTH]))
    return finished(b, b.op("Reshape", ["nhwc", "flat_shape"], "tokens"))


def extracted_patches() -> onnx.ModelProto:
    """Keras-like without a convolution: the picture is cut up and each patch projected."""
    b = Build(("n", 16, 12, 3))
    b.weight("cut", np.array([-1, 4, 4, 3, 4, 3]))
    b.op("Reshape", ["image", "cut"], "pieces")
    b.op("Transpose", ["pieces"], "together", perm=[0, 1, 3, 2, 4, 5])
    b.weight("flat_shape", np.array([-1, 12, 48]))
    b.op("Reshape", ["together", "flat_shape"], "patches")
    b.weight("w", weights(48, WIDTH))
    return finished(b, b.op("MatMul", ["patches", "w"], "tokens"))


def untold(channels_first: bool = False) -> onnx.ModelProto:
    """Thirteen tokens out of one matrix: nothing says where in the picture they are."""
    b = Build(("n", 3, 8, 8))
    b.op("Flatten", ["image"], "row")
    b.weight("matrix", weights(192, 13 * WIDTH, scale=0.1))
    b.op("MatMul", ["row", "matrix"], "long")
    b.weight("shape", np.array([-1, 13, WIDTH]))
    b.op("Reshape", ["long", "shape"], "tokens")
    if not channels_first:
        return finished(b, "tokens")
    b.op("Transpose", ["tokens"], "turned", perm=[0, 2, 1])
    b.op("Tanh", ["turned"], "last")
    b.op("GlobalAveragePool", ["last"], "mean")
    b.op("Flatten", ["mean"], "flat")
    b.linear("flat", "logits", WIDTH, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


@pytest.mark.parametrize(
    ("model", "layer", "grid", "prefix"),
    [
        (Transformer().model, "block0.out", (4, 3), 1),
        (Transformer(prefix=2, size=(20, 8)).model, "block1.out", (5, 2), 2),
        (Transformer(prefix=5).model, "embedded", (4, 3), 5),
        (Transformer(prefix=0, read="all").model, "final", (4, 3), 0),
        (Transformer(prefix=3, read="patches").model, "taken", (4, 3), 0),
        (Transformer(form="onnx", opset=23).model, "block1.norm1", (4, 3), 1),
        (channels_last_patches, "last", (4, 3), 0),
        (extracted_patches, "last", (4, 3), 0),
    ],
)
def test_the_grid_is_found(
    model: Callable[[], onnx.ModelProto], layer: str, grid: tuple[int, int], prefix: int
) -> None:
    features = resolve_layer(Network(model()), layer).features
    assert (features.grid, features.prefix, features.suffix) == (grid, prefix, 0)
    assert features.layout == "NTC"


def test_parts_of_a_row_of_tokens() -> None:
    model = Transformer(prefix=2).model()
    parts = onnx.numpy_helper.from_array(np.array([1, 13]), "parts")
    model.graph.initializer.append(parts)
    outputs = ["class_token", "others"]
    model.graph.node.append(onnx.helper.make_node("Split", ["final", "parts"], outputs, axis=1))
    roles = follow_roles(Network(model))
    assert "T" not in roles["class_token"].letters
    assert (roles["others"].letters, roles["others"].prefix) == ("NTC", 1)


# -- said -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "size", "prefix"),
    [((3, 4), [3, 4], 1), ((2, 6), [2, 6], 1), ((13,), [13], 0), ((1, 13), [1, 13], 0),
     ((2, 2, 3), [2, 2, 3], 1)],
)  # fmt: skip
@pytest.mark.parametrize("layer", [None, 0, "last", "tokens"])
@pytest.mark.parametrize("channels_first", [False, True])
def test_a_stated_grid(
    channels_first: bool, layer: Any, grid: tuple[int, ...], size: list[int], prefix: int
) -> None:
    network = Network(untold(channels_first))
    (found,) = resolve_layers(network, OnGrid(layer, grid))
    assert found.name in ("last", "tokens")
    assert (found.features.size, found.features.prefix) == (size, prefix)


def test_the_map_is_that_of_the_last_tokens() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    flat = onnxcam.Explainer(untold(), grid=(13,)).run(x, target=1)["raw"]
    found = onnxcam.Explainer(untold(), grid=[3, 4]).run(x, target=1)["raw"]
    whole = onnxcam.Explainer(untold(True), grid=(3, 4)).run(x, target=1)["raw"]
    assert found.shape == (2, 1, 3, 4)
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.reshape(2, 1, 12), flat[..., 1:], rtol=1e-4, atol=1e-6)


def test_a_grid_of_as_many_places_outweighs_the_one_found() -> None:
    network = Network(Transformer().model())
    found = resolve_layers(network, OnGrid("block0.out", (2, 6)))[0].features
    assert (found.grid, found.prefix) == ((2, 6), 1)


def test_several_layers_on_one_grid() -> None:
    found = resolve_layers(Network(untold()), OnGrid(["last", "tokens"], (3, 4)))
    assert [layer.features.grid for layer in found] == [(3, 4), (3, 4)]


def test_without_a_grid_nothing_changes() -> None:
    assert placed("features", None) == "features"
    assert rank_layers(Network(classifier()), None)[0].name == "features"


@pytest.mark.parametrize(
    ("model", "layer", "grid", "error", "words"),
    [
        (untold, None, None, ModelError, "--grid HxW"),
        (untold, "last", None, LayerError, "--grid HxW"),
        (untold, "last", (4, 4), LayerError, "4x4 needs 16 tokens"),
        (untold, None, (4, 4), ModelError, "one place a token"),
        (untold, "flat", (1, 1), LayerError, "not a feature map"),
        (classifier, None, (8, 8), LayerError, "has no tokens.*leave the grid out"),
        (classifier, "relu1", (2, 2), LayerError, "has no tokens"),
        (Transformer().model, "block0.out", (2, 2), LayerError, "4x3 tokens.*2x2"),
        (Transformer().model, None, (5, 5), LayerError, "4x3 tokens.*5x5"),
        (untold, None, (0, 3), LayerError, "height and width"),
        (untold, None, (), LayerError, "height and width"),
        (untold, None, (1, 1, 1, 1), LayerError, "height and width"),
        (untold, None, (2.0, 3.0), LayerError, "height and width"),
    ],
)
def test_a_grid_that_does_not_fit(
    model: Callable[[], onnx.ModelProto],
    layer: Any,
    grid: Any,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        _ = onnxcam.Explainer(model(), layer=layer, grid=grid).layers


# -- on the command line ----------------------------------------------------------------------


def test_explain_takes_a_grid(cli: Any, save: Any, tmp_path: Any) -> None:
    picture = write_picture(tmp_path / "photo.png", photo())
    model = save(untold())
    refused = cli("explain", model, picture, "-o", tmp_path / "out")
    assert refused.exit_code == 1
    assert "--grid" in refused.stderr
    done = cli("explain", model, picture, "-o", tmp_path / "out", "--grid", "3x4", "--save", "raw")
    assert done.exit_code == 0, done.output
    (raw,) = (tmp_path / "out").glob("*.npy")
    assert np.load(raw).shape == (3, 4)


def test_rewrite_takes_a_grid(cli: Any, save: Any, tmp_path: Any) -> None:
    out = tmp_path / "explained.onnx"
    done = cli("rewrite", save(untold()), "-o", out, "--grid", "3x4")
    assert done.exit_code == 0, done.output
    shape = onnx.load(out).graph.output[-2].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim][2:] == [3, 4]


@pytest.mark.parametrize("text", ["0x4", "3x-4", "3*4", "x", "3x4x", "1x2x3x4", "٣x٤"])
def test_words_that_are_no_grid(cli: Any, save: Any, tmp_path: Any, text: str) -> None:
    found = cli("rewrite", save(untold()), "-o", tmp_path / "explained.onnx", "--grid", text)
    assert found.exit_code == 2
    assert "14x14" in found.stderr
