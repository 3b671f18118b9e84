"""Gradients of whole networks to the picture against autograd, live."""

import pytest
from whole_models.torch_networks import NETWORKS

from_torch = pytest.importorskip("whole_models.from_torch")

pytestmark = pytest.mark.frameworks

TOLERANCE = 1e-4
QUICK = ["yolo_v8", "detr", "unet_transposed", "unet_3d", "crnn"]


@pytest.mark.parametrize("architecture", QUICK)
def test_whole_torch(architecture: str) -> None:
    """At one picture at least: at another, rounding may turn a ReLU or a maximum."""
    (network,) = [network for network in NETWORKS if network.architecture == architecture]
    comparisons = list(from_torch.measured(network))
    assert max(comparison.output for comparison in comparisons) < TOLERANCE
    assert min(comparison.norm for comparison in comparisons) < TOLERANCE
