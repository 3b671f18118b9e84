"""onnxcam's recipe against Paddle, live."""

import pytest

pytest.importorskip("paddle")

from references.locate import locate
from write_ups import paddle_res2net
from write_ups.live import explained, require_same

pytestmark = pytest.mark.frameworks


def test_paddle_res2net() -> None:
    found = paddle_res2net.found()
    for path, tensor in locate(found.model, found.source.values(), found.activations).items():
        (made,) = explained(found, "paddle-res2net", None, layer=tensor)
        require_same([made.finish.unit(made.raw)], found, f"heat {path}")
