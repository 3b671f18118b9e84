"""RefineCAM: the product over layers, and the layers that it takes by itself."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
from builders import classifier, vgg_like, vit_like
from graphs import Build, pictures
from methods.gradient.layouts import VARYING

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.methods import find_method
from onnxcam.runtime import Runner

LAYERS = ["relu1", "features"]


def unit(raw: np.ndarray) -> np.ndarray:
    positive = np.maximum(raw, 0) - np.maximum(raw, 0).min()
    return np.asarray(positive / (positive.max() or 1))


def refined(maps: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """The product for one picture and target, of raw maps (h, w)."""
    large = [unit(cv2.resize(unit(one), (width, height))) for one in maps]
    return np.asarray(np.prod(large, axis=0))


@pytest.mark.parametrize("base", ["gradcam++", "gradcam", "hirescam"])
def test_it_multiplies_the_layers_maps(base: str) -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(2)
    found = onnxcam.Explainer(model, "refinecam", layer=LAYERS, base=base).run(x, top=2)["raw"]
    each = [onnxcam.Explainer(model, base, layer=one).run(x, top=2)["raw"] for one in LAYERS]
    assert found.shape == (2, 2, 16, 16)
    for n, k in np.ndindex(2, 2):
        expected = refined([one[n, k] for one in each], 16, 16)
        np.testing.assert_allclose(found[n, k], expected, atol=1e-5)


def deep() -> onnx.ModelProto:
    """Two layers at each of three resolutions, another one with a branch."""
    b = Build(("n", 3, 16, 16))
    last, channels = "image", 3
    for k, stride in enumerate((1, 1, 2, 1, 2, 1)):
        b.conv(last, f"conv{k}", (4, channels, 3, 3), strides=[stride, stride])
        last, channels = b.op("Relu", [f"conv{k}"], f"relu{k}"), 4
    b.op("GlobalAveragePool", [last], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 4, 5)
    b.output("logits", ["n", 5])
    return b.model()


def test_it_takes_the_last_layer_of_each_resolution() -> None:
    explainer = onnxcam.Explainer(deep(), "refinecam")
    assert [one.name for one in explainer.layers] == ["relu5", "relu3", "relu1"]
    named = onnxcam.Explainer(deep(), "refinecam", layer=["relu1", "relu3", "relu5"])
    x = pictures(2)
    np.testing.assert_allclose(explainer.run(x)["raw"], named.run(x)["raw"], atol=1e-6)


def test_a_transformer_has_one_resolution() -> None:
    explainer = onnxcam.Explainer(vit_like(), "refinecam")
    assert [tuple(one.features.size) for one in explainer.layers] == [(4, 4)]
    assert explainer.run(pictures())["raw"].shape == (1, 1, 16, 16)


@pytest.mark.parametrize("name", ["NCW", "NCDHW", "NHWC", "NCWH"])
def test_other_layouts_get_the_pictures_size(name: str) -> None:
    layout = VARYING[name]
    x = layout.x(2)
    raw = onnxcam.Explainer(layout.make(), "refinecam", layer=[layout.layer]).run(x)["raw"]
    assert raw.shape == (2, 1, *layout.shape[1:])
    np.testing.assert_allclose(raw.max(axis=tuple(range(1, raw.ndim))), 1, atol=1e-6)


def test_it_bakes() -> None:
    x = pictures()
    made = onnxcam.rewrite(vgg_like(), "refinecam", LAYERS)
    baked = Runner(made).run({"image": x})["cam"]
    expected = onnxcam.Explainer(vgg_like(), "refinecam", LAYERS).run(x)["raw"]
    np.testing.assert_array_equal(baked, expected)


def test_only_methods_of_one_layer_are_refined() -> None:
    with pytest.raises(MethodError, match="not on 'smoothgradcam"):
        find_method("refinecam", base="smoothgradcam++")
