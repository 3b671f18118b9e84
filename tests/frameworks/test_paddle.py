"""onnxcam against paddle.grad, live."""

import pytest

pytest.importorskip("paddle")

from references import from_paddle
from references.live import compare

pytestmark = pytest.mark.frameworks


@pytest.mark.parametrize("name", from_paddle.NETWORKS)
def test_paddle(name: str) -> None:
    compare(name, from_paddle.NETWORKS[name]())
