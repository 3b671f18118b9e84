"""The gradient to the picture against GradientTape, live: whole networks."""

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from whole_models.from_keras import measured
from whole_models.keras_networks import NETWORKS

pytestmark = pytest.mark.frameworks

TOLERANCE = 1e-4

PICTURES = 3
"""Rounding turns a ReLU at one picture or another; a wrong rule shows at all of them."""

QUICK = ["MobileNetV2, raised", "U-Net", "U-Net of any size", "3-D convolutions", "LSTM over rows"]


@pytest.mark.parametrize("architecture", QUICK)
def test_whole_keras(architecture: str) -> None:
    (network,) = (network for network in NETWORKS if network.architecture == architecture)
    found = list(measured(network, PICTURES))
    assert all(comparison.output < TOLERANCE for comparison in found)
    assert min(comparison.norm for comparison in found) < TOLERANCE
