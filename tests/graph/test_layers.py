"""Which tensor a model is explained at: the automatic choice, the ranking, and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import pytest
from builders import (
    channels_last,
    classifier,
    concat_end,
    conv_trunk,
    ended_with,
    head,
    mlp,
    paddle_like,
    se_like,
    torch_like,
    two_outputs,
    vgg_like,
    vit_like,
)
from graphs import CLASSES, Build, weights

from onnxcam import find_layers
from onnxcam.errors import LayerError, ModelError
from onnxcam.graph.head import find_head
from onnxcam.graph.named_layers import as_number, resolve_layer
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.roles import follow_roles

Maker = Callable[[], onnx.ModelProto]


def nhwc_features() -> onnx.ModelProto:
    """ConvNeXt-like: normalised channels last behind the last convolution."""
    b = Build(("n", 3, 16, 16), opset=17)
    conv_trunk(b)
    b.op("Transpose", ["features"], "last", perm=[0, 2, 3, 1])
    b.weight("scale", weights(8))
    b.weight("bias", weights(8))
    b.op("LayerNormalization", ["last", "scale", "bias"], "normed", axis=-1)
    b.op("ReduceMean", ["normed"], "flat", axes=[1, 2], keepdims=0)
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def patch_tokens_pooled() -> onnx.ModelProto:
    """Tokens without a class token, averaged."""
    b = Build(opset=17)
    conv_trunk(b)
    b.weight("shape", [0, 8, -1])
    b.op("Reshape", ["features", "shape"], "rows")
    b.op("Transpose", ["rows"], "tokens", perm=[0, 2, 1])
    b.weight("w", weights(8, 8))
    b.op("MatMul", ["tokens", "w"], "mixed")
    b.op("Relu", ["mixed"], "active")
    b.op("ReduceMean", ["active"], "flat", axes=[1], keepdims=0)
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


@pytest.mark.parametrize(
    ("model", "name", "layout", "size"),
    [
        (classifier, "features", "NCHW", [8, 8]),
        (torch_like, "features", "NCHW", [8, 8]),
        (lambda: classifier((4, 3, 16, 16)), "features", "NCHW", [8, 8]),
        (lambda: classifier(("n", 3, "h", "w")), "features", "NCHW", [112, 112]),
        (channels_last, "model_1/relu_1/Relu:0", "NCHW", [8, 8]),
        (paddle_like, "features", "NCHW", [112, 112]),
        (vgg_like, "features", "NCHW", [8, 8]),
        (se_like, "scaled", "NCHW", [8, 8]),
        (concat_end, "joined", "NCHW", [8, 8]),
        (nhwc_features, "normed", "NHWC", [8, 8]),
        (patch_tokens_pooled, "active", "NTC", [8, 8]),
        (vit_like, "normed", "NTC", [4, 4]),
        (two_outputs, "features", "NCHW", [8, 8]),
    ],
)
def test_the_automatic_choice(model: Maker, name: str, layout: str, size: list[int]) -> None:
    ranked = find_layers(model())
    best = ranked[0]
    assert best.automatic
    assert best.name == name
    assert best.features.layout == layout
    assert list(best.features.size) == size
    assert [layer.index for layer in ranked] == list(range(len(ranked)))
    assert len({layer.name for layer in ranked}) == len(ranked)


def test_the_trunk_comes_before_branches_and_the_end_before_the_front() -> None:
    ranked = {layer.name: layer for layer in find_layers(concat_end())}
    assert ranked["joined"].trunk
    assert ranked["features"].trunk
    assert not ranked["left"].trunk
    order = list(ranked)
    assert order.index("joined") < order.index("features") < order.index("relu1")
    assert order.index("conv1") < order.index("right") < order.index("left")


def test_the_gate_of_a_squeeze_is_no_layer() -> None:
    names = [layer.name for layer in find_layers(se_like())]
    assert not {"gate", "squeezed", "excited"} & set(names)


def test_the_class_token_is_left_out_of_the_grid() -> None:
    layer = resolve_layer(Network(vit_like()), "embedded")
    assert (layer.features.prefix, layer.features.grid) == (1, (4, 4))
    assert layer.features.tensor.shape == [1, 17, 8]


def test_as_dict_is_plain() -> None:
    assert find_layers(torch_like())[0].as_dict() == {
        "index": 0, "name": "features", "op": "Relu", "scope": "layer4.2",
        "shape": ["batch", 8, 8, 8], "layout": "NCHW", "grid": [8, 8], "trunk": True,
        "automatic": True,
    }  # fmt: skip


# -- by name ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "spec", "name"),
    [
        (torch_like, None, "features"),
        (torch_like, 0, "features"),
        (torch_like, "0", "features"),
        (torch_like, 1, "conv2"),
        (torch_like, "relu1", "relu1"),
        (torch_like, "Conv:conv1", "conv1"),
        (torch_like, "stem.act", "relu1"),
        (torch_like, "stem", "relu1"),
        (torch_like, "layer4", "features"),
        (torch_like, "layer4.2.conv", "conv2"),
        (channels_last, "model_1/conv1_1/Conv2D", "conv1"),
        (channels_last, "conv1_1", "conv1"),
        (channels_last, "relu", "model_1/relu_1/Relu:0"),
        (channels_last, "relu_1", "model_1/relu_1/Relu:0"),
    ],
)
def test_a_layer_in_every_form(model: Maker, spec: Any, name: str) -> None:
    assert resolve_layer(Network(model()), spec).name == name


def numbered() -> onnx.ModelProto:
    """Torch's older exporter called its tensors by numbers."""
    model = classifier()
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["489" if other == "relu1" else other for other in names]
    return model


def test_a_number_beyond_the_ranks_may_be_a_tensors_name() -> None:
    network = Network(numbered())
    assert resolve_layer(network, "489").name == "489"
    assert resolve_layer(network, "1").name == "conv2"
    with pytest.raises(LayerError, match="no layer 489"):
        resolve_layer(network, 489)


@pytest.mark.parametrize(
    ("spec", "number"),
    [("12", 12), ("-1", -1), (3, 3), ("²", None), ("--5", None), ("", None), ("1.0", None),
     ("9" * 40, None)],
)  # fmt: skip
def test_what_counts_as_a_number(spec: Any, number: int | None) -> None:
    assert as_number(spec) == number


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("layer4.3", "'layer4.2'"),
        ("Features", "'features'"),
        (99, "layers 0 to 3"),
        (-1, "layers 0 to 3"),
        ("logits", "not a feature map"),
        ("pooled", "not a feature map"),
        ("", "no layer ''"),
    ],
)
def test_a_wrong_layer_is_told_what_there_is(spec: Any, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        resolve_layer(Network(torch_like()), spec)


def test_without_spatial_layers_there_is_nothing_to_choose() -> None:
    with pytest.raises(ModelError, match="spatial"):
        find_layers(mlp())


# -- the head ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "behind", "kind", "probabilities"),
    [
        (None, [], "logits", None),
        ("Softmax", [], "softmax", "activated"),
        ("Softmax", ["Identity"], "softmax", "activated"),
        ("Softmax", ["Identity", "Identity"], "softmax", "activated"),
        ("Softmax", ["ArgMax"], "softmax", "activated"),
        ("LogSoftmax", [], "log_softmax", "activated"),
        ("LogSoftmax", ["Identity"], "log_softmax", "activated"),
        ("Sigmoid", [], "sigmoid", "activated"),
    ],
)
def test_the_logits_are_found(
    op: str | None, behind: list[str], kind: str, probabilities: str | None
) -> None:
    found = find_head(Network(ended_with(op, behind)))
    assert (found.logits.name, found.kind, found.classes) == ("logits", kind, CLASSES)
    assert (found.probabilities.name if found.probabilities else None) == probabilities


def test_scores_with_axes_of_length_one_behind_them() -> None:
    """SqueezeNet-like: the classifier is a convolution, pooled and flattened at the end."""
    b = Build()
    conv_trunk(b)
    b.conv("features", "classes", (CLASSES, 8, 1, 1))
    b.op("GlobalAveragePool", ["classes"], "pooled")
    b.op("Softmax", ["pooled"], "scores", axis=1)
    b.op("Flatten", ["scores"], "flat")
    b.output("flat", [1, CLASSES])
    found = find_head(Network(b.model()))
    assert (found.logits.name, found.kind, found.classes) == ("pooled", "softmax", CLASSES)
    assert find_layers(b.model())[0].name in ("classes", "features")


def test_the_first_output_with_scores_counts() -> None:
    b = Build()
    conv_trunk(b)
    b.output("features", [1, 8, 8, 8])
    head(b)
    assert find_head(Network(b.model())).logits.name == "logits"


def test_outputs_without_scores_are_listed() -> None:
    b = Build()
    b.output(conv_trunk(b), [1, 8, 8, 8])
    with pytest.raises(ModelError, match=r"features \[1, 8, 8, 8\]"):
        find_head(Network(b.model()))


# -- picture and roles ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (classifier, ("NCHW", 3, 1, 16, 16)),
        (lambda: classifier(("n", 3, "h", "w")), ("NCHW", 3, None, None, None)),
        (channels_last, ("NHWC", 3, None, 16, 16)),
        (lambda: channels_last((1, "h", "w", 3)), ("NHWC", 3, 1, None, None)),
        (lambda: channels_last((1, None, None, None)), ("NHWC", 3, 1, None, None)),
        (lambda: classifier((2, 1, 16, 16), channels=1), ("NCHW", 1, 2, 16, 16)),
        (lambda: classifier((1, 4, 16, 16), channels=4), ("NCHW", 4, 1, 16, 16)),
        (lambda: classifier((None, None, None, None)), ("NCHW", 3, None, None, None)),
    ],
)
def test_the_picture_input(model: Maker, expected: tuple[Any, ...]) -> None:
    image = find_image_input(Network(model()))
    assert (image.layout, image.channels, image.batch, image.height, image.width) == expected


@pytest.mark.parametrize("shape", [(1, 16), (1, 3, 16), (1, 7, 16, 16), (1, 2, 7, 16, 16)])
def test_no_picture_input(shape: tuple[int, ...]) -> None:
    b = Build(shape)
    b.op("Relu", ["image"], "y")
    b.output("y", shape)
    with pytest.raises(ModelError, match="no input takes pictures"):
        find_image_input(Network(b.model()))


def test_roles_survive_an_attention() -> None:
    roles = follow_roles(Network(vit_like()))
    assert roles["patches"].letters == "NCHW"
    assert roles["tokens"].letters == "NTC"
    for name in ("embedded", "normed", "attended", "block", "final"):
        assert (roles[name].letters, roles[name].grid, roles[name].prefix) == ("NTC", (4, 4), 1)
