"""Which maps count by their mean alone, and that means say as much as whole maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from builders import as_float16, channels_last, classifier, conv_trunk, head, se_like, vit_like
from graphs import CLASSES, SIDE, Build, pictures

from onnxcam.equipment import Equipment
from onnxcam.graph.named_layers import resolve_layers
from onnxcam.graph.network import Network
from onnxcam.graph.pooling import pooled
from onnxcam.laboratory import Laboratory
from onnxcam.methods.search import layer_variants
from onnxcam.methods.search.reciprocam import neighbourhoods
from onnxcam.targets import Classes

ALL = Classes(tuple(range(CLASSES)))


def averaged(axes: list[int], keepdims: int, turned: bool = False) -> onnx.ModelProto:
    """`classifier` with a ReduceMean for its pooling, behind an NHWC copy where asked for."""
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    if turned:
        b.op("Identity", ["features"], "copied")
        b.op("Transpose", ["copied"], "last", perm=[0, 2, 3, 1])
    b.weight("axes", np.array(axes))
    b.op("ReduceMean", ["last" if turned else "features", "axes"], "mean", keepdims=keepdims)
    b.op("Flatten", ["mean"], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def an_output_too() -> onnx.ModelProto:
    """Targets may read the map itself."""
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    head(b, batch="n")
    b.output("features", None)
    return b.model()


def laboratory(model: onnx.ModelProto, layer: str) -> Laboratory:
    network = Network(model)
    image = network.inputs[0]
    x = pictures(1)
    if image.shape[-1] == 3:
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    feeds = {image.name: x}
    equipment = Equipment(network, resolve_layers(network, layer), ALL, None)
    return Laboratory(equipment, feeds, ALL, equipment.answer(feeds, ALL), 0)


@pytest.mark.parametrize(
    "make",
    [
        classifier,
        lambda: classifier(("n", 3, SIDE, SIDE)),
        lambda: averaged([2, 3], 1),
        lambda: averaged([-1, -2], 0),
        lambda: averaged([1, 2], 0, turned=True),
        lambda: averaged([1, 2], 1, turned=True),
        channels_last,
    ],
)
def test_means_score_as_the_whole_maps_do(
    make: Callable[[], onnx.ModelProto], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    lab = laboratory(
        model, next(n.output[0] for n in reversed(model.graph.node) if n.op_type == "Relu")
    )
    assert lab.pools
    count = lab.activations.shape[lab.features.channel]
    masks = neighbourhoods(tuple(lab.activations.shape[axis] for axis in lab.features.spatial))
    channels = np.arange(count)[::-2]
    places = layer_variants.scores_of_places(lab, masks)
    without = layer_variants.scores_without(lab, channels)
    monkeypatch.setattr(Laboratory, "pools", False)
    scale = np.abs(lab.score).max()
    np.testing.assert_allclose(
        places, layer_variants.scores_of_places(lab, masks), rtol=1e-6, atol=1e-6 * scale
    )
    np.testing.assert_allclose(
        without, layer_variants.scores_without(lab, channels), rtol=1e-6, atol=1e-6 * scale
    )
    assert np.ptp(places, axis=0).min() > 1e-3 * scale


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (classifier, "relu1"),  # a convolution reads it
        (se_like, "features"),
        (vit_like, "normed"),
        (an_output_too, "features"),
        (lambda: averaged([2], 1), "features"),
        (lambda: averaged([1, 2, 3], 1), "features"),
        (lambda: as_float16(classifier()), "features"),
    ],
)
def test_maps_of_which_more_is_read(make: Callable[[], onnx.ModelProto], layer: str) -> None:
    network = Network(make())
    assert pooled(network, resolve_layers(network, layer)[0].features) is None
