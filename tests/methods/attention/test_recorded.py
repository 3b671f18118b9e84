"""The attention methods on a whole vision transformer, against what PyTorch said of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import pytest
from references.derivation import distance
from references.rebuild import RECORDINGS, Reference, build, read

import onnxcam

NAME = "timm_vit_tiny"
TOLERANCE = 1e-4


@lru_cache(maxsize=1)
def rebuilt() -> tuple[Reference, onnx.ModelProto]:
    reference = read(NAME)
    return reference, build(reference)


@pytest.mark.parametrize(
    ("name", "method", "parameters"),
    [
        ("rollout", "rollout", {}),
        ("rollout max", "rollout", {"fusion": "max", "discard": 0.5}),
        ("chefer", "chefer", {}),
        ("legrad", "legrad", {}),
    ],
)
def test_the_map_is_pytorchs_own(name: str, method: str, parameters: dict[str, Any]) -> None:
    reference, model = rebuilt()
    explainer = onnxcam.Explainer(model, method=method, **parameters)
    raw = explainer.run(reference.x, target=reference.classes)["raw"]
    with np.load(RECORDINGS / NAME / "attention.npz") as recorded:
        expected = recorded[name]
    assert raw.shape == (2, 1, 14, 14)
    assert raw.dtype == np.float32
    assert distance(raw[:, 0], expected) < TOLERANCE
