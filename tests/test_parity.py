"""onnxcam against the recorded answers of PyTorch, Keras and Paddle, without any of them.

Each model is built again from its recording (see scripts/references/), so this is the whole way:
an exported file in, a map out, as true as the training framework's own backward pass.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import onnx
import pytest
from references.derivation import distance
from references.rebuild import Reference, build, read, recorded

import onnxcam

TOLERANCE = 1e-4
"""Largest difference from the framework's float64 map, relative to that map's maximum."""


@lru_cache(maxsize=1)
def rebuilt(name: str) -> tuple[Reference, onnx.ModelProto]:
    """A recording and its model; only the latest is kept, they are large."""
    reference = read(name)
    return reference, build(reference)


LARGE = {"torch_vgg16", "keras_vgg16"}
"""Half a gigabyte each."""

USUAL = 2
"""Layers of every other network that are always tried: the first, with the longest way, are."""


def every_layer() -> Iterator:
    """All recorded networks with all their layers, network by network."""
    for name in recorded():
        for number, path in enumerate(read(name).layers):
            slow = [pytest.mark.slow] if name in LARGE or number >= USUAL else []
            yield pytest.param(name, path, id=f"{name}-{path}", marks=slow)


@pytest.mark.parametrize(("name", "path"), list(every_layer()))
def test_the_map_is_the_frameworks_own(name: str, path: str) -> None:
    reference, model = rebuilt(name)
    explainer = onnxcam.Explainer(model, method="gradcam", layer=reference.layers[path])
    answer = explainer.run(reference.x, target=reference.classes)
    cam = reference.cam(path)
    assert answer["raw"].shape == (len(cam), 1, *cam.shape[1:])
    assert distance(answer["raw"][:, 0], cam) < TOLERANCE
    np.testing.assert_array_equal(answer["target"][:, 0], reference.classes)
    assert distance(answer[model.graph.output[0].name], reference.output) < TOLERANCE


def test_recordings_are_there() -> None:
    """An empty folder must not pass for success."""
    assert len(recorded()) >= 15
