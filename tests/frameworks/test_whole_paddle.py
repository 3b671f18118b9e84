"""The gradient to the picture against paddle.grad, live: whole networks."""

import pytest

pytest.importorskip("paddle")

from whole_models.from_paddle import measured
from whole_models.paddle_networks import NETWORKS

pytestmark = pytest.mark.frameworks

TOLERANCE = 1e-4

PICTURES = 3
"""Rounding turns a ReLU at one picture or another; a wrong rule shows at all of them."""

QUICK = [
    "mobilenet_v3_small",
    "shufflenet_v2_x1_0",
    "Res2Net50_vd_26w_4s, raised",
    "SVTR, opset 13",
]


@pytest.mark.parametrize("architecture", QUICK)
def test_whole_paddle(architecture: str) -> None:
    (network,) = (network for network in NETWORKS if network.architecture == architecture)
    found = list(measured(network, PICTURES))
    assert all(comparison.output < TOLERANCE for comparison in found)
    assert min(comparison.norm for comparison in found) < TOLERANCE
