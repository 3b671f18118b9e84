"""onnxcam against autograd, live."""

import pytest

pytest.importorskip("torch")

from references import from_torch
from references.live import compare

pytestmark = pytest.mark.frameworks


@pytest.mark.parametrize("name", from_torch.NETWORKS)
def test_torch(name: str) -> None:
    compare(name, from_torch.NETWORKS[name]())
