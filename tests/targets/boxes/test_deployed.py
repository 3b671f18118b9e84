"""What ONNX Runtime's tools make of a detector, by their own: int8, float16, optimised.

A quantised detector ranks objects of nearly the same certainty another way, but finds the same
ones, and its heat lies where the float model's does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import deployed.variants
import numpy as np
import pytest
from deployed.variants import VARIANTS
from onnxruntime.quantization import CalibrationDataReader
from targets.boxes.reference import overlap
from thinning import slow_but_one_in

import onnxcam
from onnxcam.targets import Box

MODELS = Path(__file__).resolve().parents[3] / "models"
SEEDS = range(1_000_000, 1_000_010)
CALIBRATION = range(16)

EXACT = ["ort-basic", "ort-extended", "float16", "float16-inside"]
ROUNDED = ["qdq-u8", "qdq-s8-channel", "qoperator-u8", "qoperator-s8-channel", "dynamic"]
NMS = ["qdq-u8", "qoperator-s8-channel", "dynamic", "float16", "ort-extended"]
CASES = slow_but_one_in(
    2, [("", name) for name in EXACT + ROUNDED] + [("_nms", name) for name in NMS]
)

Made = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, localisation: ModuleType) -> Made:
    """`made("_nms", "qdq-u8")`: the file with that ending, in that form, calibrated on pictures
    of the kind that it was trained on."""
    folder = tmp_path_factory.mktemp("deployed")

    class Scenes(CalibrationDataReader):
        def __init__(self, model: Path) -> None:
            images = (localisation.scenes.draw(seed).image for seed in CALIBRATION)
            self.feeds = iter(
                [{"image": i.transpose(2, 0, 1)[None].astype(np.float32) / 255} for i in images]
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    def make(ending: str, variant: str) -> Path:
        path = folder / f"{variant}{ending}.onnx"
        if not path.exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(deployed.variants, "Crops", Scenes)
                VARIANTS[variant](MODELS / f"shapes_detector{ending}.onnx", path)
        return path

    return make


@pytest.fixture(scope="module")
def expected(localisation: ModuleType) -> dict[str, float]:
    """What is measured of the float model."""
    measured: dict[str, float] = localisation.measure("hirescam", seeds=SEEDS)
    return measured


@pytest.mark.parametrize(("ending", "variant"), CASES)
def test_the_heat_lies_where_the_float_models_does(
    made: Made, localisation: ModuleType, expected: dict[str, float], ending: str, variant: str
) -> None:
    found = localisation.measure("hirescam", seeds=SEEDS, model=made(ending, variant))
    tolerance = 0.002 if variant in EXACT else 0.02
    for share in ("share in its box", "on its object", "in the other boxes"):
        assert found[share] == pytest.approx(expected[share], abs=tolerance)
    assert found["right"] >= (1 if variant in EXACT else 0.9) * expected["right"]


@pytest.mark.parametrize(("ending", "variant"), CASES)
def test_the_same_box_is_picked(
    made: Made, localisation: ModuleType, ending: str, variant: str
) -> None:
    """The best one in all but a few pictures, and always the one at a place."""
    exact = onnxcam.Explainer(MODELS / "shapes_detector.onnx", method="hirescam")
    other = onnxcam.Explainer(made(ending, variant), method="hirescam")
    same = 0
    for seed in SEEDS:
        image = localisation.scenes.draw(seed).image
        best = exact.explain(image)
        assert isinstance(best, onnxcam.Explanation)
        assert best.target.box is not None
        box = np.array(best.target.box)
        x1, y1, x2, y2 = best.target.box
        found, there = other.explain(image), other.explain(image, target=Box(at=(x1, y1, x2, y2)))
        assert isinstance(found, onnxcam.Explanation)
        assert isinstance(there, onnxcam.Explanation)
        same += bool(overlap(np.array(found.target.box), box) > 0.5)
        assert overlap(np.array(there.target.box), box) > 0.5
        assert there.target.index == best.target.index
        assert there.raw.any()
        if variant in ROUNDED and variant != "dynamic":
            assert any("straight-through" in warning for warning in there.warnings)
    assert same >= (len(SEEDS) if variant in EXACT else 0.8 * len(SEEDS))
