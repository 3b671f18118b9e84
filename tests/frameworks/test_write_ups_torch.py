"""onnxcam's recipes against pytorch-grad-cam and PyTorch, live."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("references.torchvision_import")
pytest.importorskip("pytorch_grad_cam")
pytest.importorskip("torchcam")

from references.locate import locate
from write_ups import torch_densenet121, torch_mobilenet_v3
from write_ups.live import explained, require_same

pytestmark = pytest.mark.frameworks

HALF, EVERY = torch_mobilenet_v3.EVERY // 2, torch_mobilenet_v3.EVERY


def test_pytorch_grad_cam() -> None:
    for found in torch_mobilenet_v3.networks():
        layers = list(locate(found.model, found.source.values(), found.activations).values())
        for key in found.arrays:
            method, _, what = key.partition(", ")
            target = None if what == "best" else found.classes
            layer = layers if what == "several layers" else None
            made = explained(found, "pytorch-grad-cam", target, method=method, layer=layer)
            require_same([one.heat[HALF::EVERY, HALF::EVERY] for one in made], found, key)


def test_densenet_cam() -> None:
    found = torch_densenet121.found()
    made = explained(found, "densenet-cam", "all")
    require_same([one.finish.unit(one.raw) for one in made], found, "heat")
