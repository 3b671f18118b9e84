"""onnxcam against GradientTape, live."""

import pytest

pytest.importorskip("tensorflow")

from references import from_keras
from references.live import compare

pytestmark = pytest.mark.frameworks


@pytest.mark.parametrize("name", from_keras.NETWORKS)
def test_keras(name: str) -> None:
    compare(name, from_keras.NETWORKS[name]())
