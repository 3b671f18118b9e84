"""onnxcam against what Captum said once (scripts/references/pixels.py), without it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from references.rebuild import Reference, build, read

import onnxcam

RECORDED = Path(__file__).parent / "recorded"
SIDE = 48
CLOSE = 1e-4
"""Largest difference from Captum's map in double precision, relative to its largest value."""

LAYERS = {
    "torch_resnet50": "layer4.2",
    "torch_mobilenet_v3_large": "features.16",
    "torch_shapes": "4",
}
SEEDS = {"torch_resnet50": 0, "torch_mobilenet_v3_large": 2, "torch_shapes": 0}
NOISE = {"samples": 4, "noise": 0.15}
PARAMETERS: dict[str, dict[str, Any]] = {
    "saliency": {},
    "inputxgradient": {},
    "guidedbackprop": {},
    "deconvolution": {},
    "guidedgradcam": {},
    "smoothgrad": NOISE,
    "vargrad": NOISE,
    "integratedgradients gausslegendre": {"steps": 6, "baseline": 0.1},
    "integratedgradients riemann_middle": {"steps": 6, "baseline": 0.1, "rule": "riemann_middle"},
    "integratedgradients riemann_right": {"steps": 6, "baseline": 0.1, "rule": "riemann_right"},
}


@lru_cache(maxsize=1)
def rebuilt(name: str) -> tuple[Reference, onnx.ModelProto, dict[str, np.ndarray]]:
    """A network and its recording; only the latest is kept, they are large."""
    reference = read(name)
    with np.load(RECORDED / f"{name}.npz") as stored:
        return reference, build(reference), {key: stored[key] for key in stored.files}


MANY_GRADIENTS = ("smoothgrad", "vargrad", "integratedgradients")
"""Made of gradients that take a second each in ResNet-50, and are those of `saliency`."""


def every_map() -> Iterator:
    """All networks with all methods; the large ones with one quadrature only, for time's sake."""
    for name in LAYERS:
        for key in PARAMETERS:
            if "riemann" in key and name != "torch_shapes":
                continue
            many = name == "torch_resnet50" and key.startswith(MANY_GRADIENTS)
            slow = [pytest.mark.slow] if many else []
            yield pytest.param(name, key, id=f"{name}-{key}", marks=slow)


@pytest.mark.parametrize(("name", "key"), list(every_map()))
def test_the_map_is_captums(name: str, key: str) -> None:
    reference, model, recorded = rebuilt(name)
    method = key.split()[0]
    parameters = PARAMETERS[key] | ({"seed": SEEDS[name]} if PARAMETERS[key] is NOISE else {})
    layer = reference.layers[LAYERS[name]] if method == "guidedgradcam" else None
    explainer = onnxcam.Explainer(model, method=method, layer=layer, **parameters)
    raw = explainer.run(reference.x[:1], target=reference.classes[:1])["raw"][0, 0]
    total, size, largest = recorded[f"{key} sums"]
    start = len(raw) * 3 // 8
    window = raw[start : start + SIDE, start : start + SIDE]
    assert largest > 0
    assert np.abs(window - recorded[f"{key} window"]).max() < CLOSE * largest
    assert abs(np.abs(raw).sum() - size) < CLOSE * size
    assert abs(raw.sum() - total) < CLOSE * size


@pytest.mark.parametrize(
    ("name", "rule", "parameters"),
    [
        ("plain", "default", {"gamma": 0}),
        ("plain", "epsilon", {"gamma": 0, "epsilon": 0.25}),
        ("plain_without_bias", "default", {"gamma": 0}),
        ("plain_without_bias", "epsilon", {"gamma": 0, "epsilon": 0.25}),
        ("plain_without_bias", "gamma", {}),
        ("residual", "default", {"gamma": 0}),
        ("residual", "epsilon", {"gamma": 0, "epsilon": 0.25}),
    ],
)
def test_relevance_is_captums(name: str, rule: str, parameters: dict[str, float]) -> None:
    model = onnx.load_from_string(gzip.decompress((RECORDED / f"{name}.onnx.gz").read_bytes()))
    with np.load(RECORDED / f"{name}.npz") as stored:
        x, expected = stored["x"], stored[rule]
    raw = onnxcam.Explainer(model, method="lrp", **parameters).run(x, target=1)["raw"][:, 0]
    assert np.abs(expected).max() > 1e-5
    np.testing.assert_allclose(raw, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
