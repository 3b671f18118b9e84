"""Volumes and signals as inputs: layout and channels from the shape, or from the first layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from graphs import CLASSES, Build, weights, write_picture

import onnxcam
from onnxcam.errors import VolumeError
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input

PERMUTED = {
    3: ([0, 2, 1], [0, 2, 1]),
    4: ([0, 3, 1, 2], [0, 2, 3, 1]),
    5: ([0, 4, 1, 2, 3], [0, 2, 3, 4, 1]),
}


def spatial_net(shape: tuple[int | str, ...], last: bool) -> onnx.ModelProto:
    """Conv, ReLU, global pooling and a linear layer, in as many dimensions as the input has."""
    rank = len(shape)
    channels = shape[-1] if last else shape[1]
    b = Build(shape)
    x = b.op("Transpose", ["image"], "first", perm=PERMUTED[rank][0]) if last else "image"
    b.weight("w", weights(4, int(channels), *[3] * (rank - 2)))
    b.op("Conv", ["first" if x != "image" else x, "w"], "conv", pads=[1] * 2 * (rank - 2))
    b.op("Relu", ["conv"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 4, CLASSES)
    b.output("logits", [shape[0], CLASSES])
    return b.model()


@pytest.mark.parametrize(
    ("shape", "last", "layout"),
    [
        (("n", 1, 6, 8, 10), False, "NCDHW"),
        (("n", 6, 8, 10, 1), True, "NDHWC"),
        (("n", 2, 6, 8, 10), False, "NCDHW"),
        (("n", 6, 8, 10, 2), True, "NDHWC"),
        (("n", 12, 40), False, "NCW"),
        (("n", 40, 12), True, "NWC"),
    ],
)
def test_volumes_and_signals(shape: tuple[int | str, ...], last: bool, layout: str) -> None:
    model = spatial_net(shape, last)
    image = find_image_input(Network(model))
    size = shape[1:-1] if last else shape[2:]
    assert (image.layout, image.size, image.batch) == (layout, size, None)
    assert not image.is_picture
    rng = np.random.default_rng(0)
    x = rng.standard_normal([3, *(int(d) for d in shape[1:])]).astype(np.float32)
    explainer = onnxcam.Explainer(model)
    assert explainer.layer.name == "features"
    found = explainer.run(x, target=[0, 3, 1])
    assert found["raw"].shape == (3, 1, *size)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    seen.graph.output.append(onnx.helper.make_tensor_value_info("features", 1, None))
    features = onnxcam.runtime.Runner(seen).run({"image": x})["features"]
    for n, index in enumerate([0, 3, 1]):
        w = stored["logits.weight"][index]
        expected = np.maximum(np.tensordot(w, features[n], 1) / np.prod(size), 0)
        np.testing.assert_allclose(found["raw"][n, 0], expected, rtol=1e-4, atol=1e-7)


def test_a_picture_file_does_not_fit_a_volume(tmp_path: Path) -> None:
    explainer = onnxcam.Explainer(spatial_net((1, 1, 6, 8, 10), False))
    with pytest.raises(VolumeError, match=r"\(D, H, W\)"):
        explainer.explain(np.zeros((8, 10), np.uint8))
    with pytest.raises(VolumeError, match="not a volume"):
        explainer.explain(write_picture(tmp_path / "photo.png"))


def test_pictures_go_before_volumes() -> None:
    model = spatial_net((1, 1, 4, 8, 8), False)
    picture = onnx.helper.make_tensor_value_info("picture", 1, [1, 3, 8, 8])
    model.graph.input.append(picture)
    assert find_image_input(Network(model)).name == "picture"
