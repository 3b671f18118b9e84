"""The detector of models/, with and without NonMaxSuppression inside: each box's own heat."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from targets.boxes.reference import overlap

import onnxcam
from onnxcam.images import Picture
from onnxcam.runtime import Runner

MODELS = Path(__file__).resolve().parents[3] / "models"
SEEDS = range(1_000_000, 1_000_020)


@pytest.fixture(scope="module")
def picture(localisation: ModuleType) -> Picture:
    return np.asarray(localisation.scenes.draw(SEEDS[1]).image)


@pytest.mark.parametrize("method", ["hirescam", "layercam", "gradcam-elementwise"])
def test_the_heat_of_a_box_lies_on_its_object(localisation: ModuleType, method: str) -> None:
    found = localisation.measure(method, seeds=SEEDS)
    assert found["right"] >= 0.95 * found["objects"]
    assert found["detections"] <= 1.1 * found["objects"]
    assert found["share in its box"] > 0.95
    assert found["on its object"] > 0.85
    assert found["in the other boxes"] < 0.02


def test_gradcam_cannot_tell_the_boxes_apart(localisation: ModuleType) -> None:
    """It averages the gradient over the picture: what docs/using.md warns of."""
    assert localisation.measure("gradcam", seeds=SEEDS)["share in its box"] < 0.6


def test_the_file_with_suppression_explains_the_same(picture: Picture) -> None:
    raw, inside = (
        onnxcam.Explainer(MODELS / f"shapes_detector{ending}.onnx", method="hirescam").explain(
            picture, top=3
        )
        for ending in ("", "_nms")
    )
    assert isinstance(raw, list)
    assert isinstance(inside, list)
    for one, other in zip(raw, inside, strict=True):
        assert one.target.label == other.target.label
        np.testing.assert_allclose(one.target.box, other.target.box, atol=1e-3)
        np.testing.assert_allclose(one.raw, other.raw, rtol=1e-3, atol=1e-5)


def test_the_graphs_choice_is_that_of_the_operator(picture: Picture) -> None:
    """What NonMaxSuppression lists are the detections that ranks count through; it lists an object
    a second time where another class is likely, too."""
    path = MODELS / "shapes_detector_nms.onnx"
    x = picture.transpose(2, 0, 1)[None].astype(np.float32) / 255
    listed = Runner(path.read_bytes()).run({"image": x})["detections"]
    ranked: list[np.ndarray] = []
    for row in listed[np.argsort(-listed[:, 6])]:
        if all(overlap(row[1:5], other[1:5]) < 0.5 for other in ranked):
            ranked.append(row)
    found = onnxcam.Explainer(path, method="hirescam").explain(picture, top=len(ranked))
    assert isinstance(found, list)
    assert len(ranked) > 1
    for row, one in zip(ranked, found, strict=True):
        np.testing.assert_allclose(one.target.box, row[1:5], atol=1e-3)
        assert one.target.index == int(row[5])
        assert one.target.probability == pytest.approx(float(row[6]), abs=1e-4)
