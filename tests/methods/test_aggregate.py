"""Several layers in one map: against OpenCV and NumPy, in the graph and out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from builders import channels_last, classifier, vit_like
from click.testing import CliRunner
from graphs import photo, pictures, write_picture
from methods.gradient.layouts import VARYING

import onnxcam
from onnxcam.cli import main
from onnxcam.errors import LayerError, MethodError
from onnxcam.methods.maps import fused, resized, unit_range
from onnxcam.runtime import Runner

LAYERS = ["relu1", "features"]
METHODS = ["gradcam", "hirescam", "eigencam", "shapleycam", "finercam", "smoothgradcam++"]


def unit(raw: np.ndarray) -> np.ndarray:
    positive = np.maximum(raw, 0)
    raised = positive - positive.min()
    return np.asarray(raised / (raised.max() or 1))


def together(maps: list[np.ndarray], fuse: str, width: int, height: int) -> np.ndarray:
    """Raw maps (h, w) of one picture and target, put together at the picture's size."""
    large = [cv2.resize(unit(one), (width, height)) for one in maps]
    return np.asarray({"mean": np.mean, "max": np.max}[fuse](large, axis=0))


@pytest.mark.parametrize("fuse", ["mean", "max"])
@pytest.mark.parametrize("method", METHODS)
def test_the_layers_maps_are_put_together(method: str, fuse: str) -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(2)
    explainer = onnxcam.Explainer(model, method, layer=LAYERS, fuse=fuse)
    found = explainer.run(x, top=2)["raw"]
    each = [onnxcam.Explainer(model, method, layer=one).run(x, top=2)["raw"] for one in LAYERS]
    assert found.shape == (2, 2, 16, 16)
    assert found.dtype == np.float32
    for n, k in np.ndindex(2, 2):
        expected = together([one[n, k] for one in each], fuse, 16, 16)
        np.testing.assert_allclose(found[n, k], expected, atol=1e-5)


def test_channels_last_and_an_open_size() -> None:
    layers = ["conv1", "model_1/relu_1/Relu:0"]
    model, x = channels_last((None, None, None, 3)), np.zeros((2, 18, 26, 3), np.float32)
    x += np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    made = onnxcam.rewrite(model, layer=layers)
    found = Runner(made).run({"image": x})["cam"]
    each = [Runner(onnxcam.rewrite(model, layer=one)).run({"image": x})["cam"] for one in layers]
    for n in range(2):
        expected = together([one[n, 0] for one in each], "mean", 26, 18)
        np.testing.assert_allclose(found[n, 0], expected, atol=1e-5)


def test_tokens_and_convolutions_go_together() -> None:
    layers = ["patches", "embedded"]
    found = onnxcam.Explainer(vit_like(), layer=layers).run(pictures())["raw"]
    each = [onnxcam.Explainer(vit_like(), layer=one).run(pictures())["raw"] for one in layers]
    expected = together([one[0, 0] for one in each], "mean", 16, 16)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["NCW", "NCDHW"])
def test_signals_and_volumes(name: str) -> None:
    layout = VARYING[name]
    layers, x = [layout.layer, "conv" if name == "NCDHW" else "pool"], layout.x(2)
    each = [onnxcam.Explainer(layout.make(), layer=one).run(x, top=2)["raw"] for one in layers]
    found = onnxcam.Explainer(layout.make(), layer=layers).run(x, top=2)["raw"]
    np.testing.assert_allclose(found, fused(each, layout.shape[1:]), atol=1e-5)


def test_one_walk_gives_all_gradients() -> None:
    """The way from the score to the later layer is emitted once."""
    model = classifier()
    counts = [
        len(onnxcam.rewrite(model, layer=layer).graph.node) - len(model.graph.node)
        for layer in ("relu1", "features", LAYERS)
    ]
    convolutions = [
        sum(node.op_type in ("Conv", "ConvTranspose") for node in made.graph.node)
        for made in (onnxcam.rewrite(model, layer=one) for one in ("relu1", LAYERS))
    ]
    assert convolutions[0] == convolutions[1]
    assert counts[2] < counts[0] + counts[1] + 30


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_it_bakes_and_says_so(opset: int) -> None:
    made = onnxcam.rewrite(classifier(opset=opset), layer=LAYERS, fuse="max")
    onnx.checker.check_model(made)
    inside = {entry.key: entry.value for entry in made.metadata_props}
    assert inside["onnxcam.fuse"] == "max"
    assert inside["onnxcam.layer"] == "relu1, features"
    baked = Runner(made).run({"image": pictures()})["cam"]
    explainer = onnxcam.Explainer(classifier(opset=opset), layer=LAYERS, fuse="max")
    np.testing.assert_array_equal(baked, explainer.run(pictures())["raw"])


def test_maps_of_nothing_stay_zero() -> None:
    model = classifier()
    for tensor in model.graph.initializer:
        if tensor.name == "logits.weight":
            empty = np.zeros(tuple(tensor.dims), np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(empty, tensor.name))
    assert not onnxcam.Explainer(model, layer=LAYERS).run(pictures())["raw"].any()


def test_maps_of_small_numbers_count_in_full() -> None:
    small = np.float32(1e-9) * np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    assert unit_range(small).max() == 1
    assert unit_range(np.full((1, 1, 3, 4), 5, np.float32)).max() == 0


@pytest.mark.parametrize("size", [(9, 13), (4, 6), (1, 1), (3, 5)])
def test_enlarging_is_opencvs(size: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).random((2, 3, 4, 5), np.float32)
    found = resized(maps, size)
    for n, k in np.ndindex(2, 3):
        expected = cv2.resize(maps[n, k], size[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(found[n, k], expected, atol=1e-6)


def test_another_number_of_axes_is_refused() -> None:
    with pytest.raises(LayerError, match="2 spatial axes, the picture has 3"):
        resized(np.zeros((1, 1, 4, 4), np.float32), (4, 4, 4))


@pytest.mark.parametrize("make", [onnxcam.Explainer, onnxcam.rewrite])
def test_an_unknown_way_is_refused(make: Callable[..., object]) -> None:
    with pytest.raises(MethodError, match="did you mean 'mean'"):
        make(classifier(), layer=LAYERS, fuse="mea")


def test_on_the_command_line(tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "model.onnx")
    picture = write_picture(tmp_path / "noise.png", photo())
    folder, made = tmp_path / "out", tmp_path / "explained.onnx"
    layers = ["--layer", "relu1", "--layer", "features", "--fuse", "max"]
    command = ["explain", str(tmp_path / "model.onnx"), str(picture), "-o", str(folder), "--json"]
    runner = CliRunner()
    answer = runner.invoke(main, [*command, "--save", "raw", *layers])
    assert answer.exit_code == 0, answer.stderr
    [entry] = json.loads(answer.stdout)
    assert entry["layer"] == "relu1, features"
    raw = np.load(entry["raw"])
    expected = onnxcam.explain(
        tmp_path / "model.onnx", picture, layer=["relu1", "features"], fuse="max"
    )
    np.testing.assert_array_equal(raw, expected.raw)
    answer = runner.invoke(
        main, ["rewrite", str(tmp_path / "model.onnx"), "-o", str(made), *layers]
    )
    assert answer.exit_code == 0, answer.stderr
    assert "relu1, features" in answer.stdout
