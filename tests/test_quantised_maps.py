"""A quantised classifier's heatmaps are those of the float one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from deployed.variants import VARIANTS
from quantised_maps import MODEL, crops, spearman

import onnxcam
from onnxcam.methods.registry import find_method, methods

CROPS = 6

_OF_OTHER_MODELS = {"cam", "chefer", "legrad", "rollout", "vitreciprocam"}
METHODS = sorted(one.name for one in methods() if one.name not in _OF_OTHER_MODELS)
"""Those for convolutional networks whose head is quantised as well."""


@pytest.mark.parametrize("variant", ["qdq-s8-channel", "qoperator-s8-channel"])
def test_int8_maps_correlate_with_float_maps(variant: str, tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    VARIANTS[variant](MODEL, path)
    plain, quantised = onnxcam.Explainer(MODEL), onnxcam.Explainer(path)
    alike = []
    for image in crops(MODEL.parent / "images")[:CROPS]:
        expected = plain.explain(image)
        found = quantised.explain(image, expected.target.index)
        assert found.raw.any()
        assert not expected.warnings
        assert ["straight-through" in warning for warning in found.warnings] == [True]
        alike.append(spearman(found.raw, expected.raw))
    assert np.mean(alike) >= 0.9
    recorded = {entry.key: entry.value for entry in onnxcam.rewrite(path).metadata_props}
    assert recorded["onnxcam.gradient"] == "straight-through"


def test_the_rank_correlation_is_spearmans() -> None:
    """Checked by hand: ranks 1 2 3 4 and 2 1 4 3 differ by 1 four times, 1 - 6 * 4 / (4 * 15)."""
    assert spearman(np.array([1, 5, 6, 9]), np.array([0.2, 0.1, 7, 3])) == pytest.approx(0.6)
    assert spearman(np.array([1, 1, 2]), np.array([3, 3, 9])) == pytest.approx(1)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier, quantised."""
    path = tmp_path_factory.mktemp("quantised") / "shapes.onnx"
    VARIANTS["qdq-s8-channel"](MODEL.parent / "shapes_torch.onnx", path)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_takes_gradients_says_that_they_pass_rounding(
    method: str, shapes: Path
) -> None:
    needs = find_method(method).needs
    few = {"samples": 2} if "samples" in find_method(method).parameters() else {}
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    found = onnxcam.explain(shapes, picture, method=method, **few)
    said = any("straight-through" in warning for warning in found.warnings)
    assert said == ("gradient" in needs)
