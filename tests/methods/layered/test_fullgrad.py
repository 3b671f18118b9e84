"""FullGrad: completeness over all biases, and the map against NumPy."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
from builders import channels_last, classifier, two_outputs, vgg_like, vit_like
from graphs import CLASSES, Build, pictures, weights
from methods.search.rerunning import session

import onnxcam
from onnxcam.autodiff import differentiate
from onnxcam.autodiff.cotangent import full
from onnxcam.compose import Addition
from onnxcam.errors import LayerError, MethodError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.methods.layered.biases import find_biases
from onnxcam.runtime import Runner
from onnxcam.targets import Classes


def normalised(opset: int = 17) -> onnx.ModelProto:
    """Batch normalisations, a bias added by itself, one subtracted, and a mean taken off."""
    b = Build(("n", 3, 16, 16), opset)
    b.op("Sub", ["image", b.weight("mean", weights(3, 1, 1, seed=1))], "centred")
    b.op("Conv", ["centred", b.weight("w1", weights(6, 3, 3, 3))], "conv1", pads=[1] * 4)
    parts = [b.weight(f"bn.{k}", weights(6, seed=k + 2)) for k in range(3)]
    spread = b.weight("bn.3", np.abs(weights(6, seed=9)) + 0.5)
    b.op("BatchNormalization", ["conv1", *parts, spread], "normed", epsilon=0.01)
    b.op("Relu", ["normed"], "relu1")
    b.op("Conv", ["relu1", b.weight("w2", weights(8, 6, 3, 3, seed=5))], "conv2", strides=[2, 2])
    b.op("Add", [b.weight("b2", weights(1, 8, 1, 1, seed=6)), "conv2"], "biased")
    b.op("Relu", ["biased"], "relu2")
    b.op("Sub", [b.weight("c", weights(8, 1, 1, seed=8)), "relu2"], "turned")
    b.op("MaxPool", ["turned"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    b.op("Flatten", ["pool"], "flat")
    b.linear("flat", "hidden", 8 * 9, 7)
    b.op("Relu", ["hidden"], "relu3")
    b.op("MatMul", ["relu3", b.weight("w3", weights(7, CLASSES, seed=3))], "product")
    b.op("Add", ["product", b.weight("b3", weights(CLASSES, seed=4))], "logits")
    b.output("logits", ["n", CLASSES])
    return b.model()


def parts_of_score(model: onnx.ModelProto, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The score of class k, and the sum of picture and biases times their gradients, (N,)."""
    network = Network(model)
    e = Emitter(network)
    explained = Classes((k,)).emit(e)
    image = network.graph.inputs[0]
    biases = list(find_biases(network))
    names = dict.fromkeys([image.name, *(bias.tensor.name for bias in biases)])
    found = differentiate(e, explained.seeds, names)
    tensors = [(image, image), *((bias.tensor, bias.value(e)) for bias in biases)]
    products = {
        f"part{i}": e.mul(full(e, found[tensor.name], tensor), value)
        for i, (tensor, value) in enumerate(tensors)
    }
    made = onnx.ModelProto.FromString(Addition(e, explained).serialized(products))
    del made.graph.output[: len(network.graph.outputs)]
    parts = session(made).run(list(products), {image.name: x})
    score = session(model).run(None, {image.name: x})[0][:, k]
    return score, sum(part.reshape(len(x), -1).sum(1, dtype=np.float64) for part in parts)


@pytest.mark.parametrize("k", range(CLASSES))
@pytest.mark.parametrize(
    "model",
    [normalised(), normalised(11), classifier(("n", 3, 16, 16)), vgg_like()],
    ids=["batch norm", "opset 11", "classifier", "max pool"],
)
def test_picture_and_biases_make_the_score(model: onnx.ModelProto, k: int) -> None:
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 3
    score, total = parts_of_score(model, pictures(batch), k)
    np.testing.assert_allclose(total, score, rtol=1e-4, atol=1e-4 * np.abs(score).max())


def test_every_bias_of_a_graph_is_found() -> None:
    names = [bias.tensor.name for bias in find_biases(Network(normalised()))]
    assert names == ["centred", "normed", "biased", "turned", "hidden", "logits"]


def test_a_constant_of_an_activation_is_no_bias() -> None:
    b = Build()
    b.conv("image", "conv1", (6, 3, 3, 3), strides=[2, 2])
    b.op("Add", ["conv1", b.weight("three", np.float32(3))], "raised")
    b.op("Clip", ["raised", b.weight("low", np.float32(0)), b.weight("up", np.float32(6))], "gate")
    b.op("Mul", ["conv1", "gate"], "features")
    b.op("GlobalAveragePool", ["features"], "logits")
    b.output("logits", [1, 6, 1, 1])
    assert [bias.tensor.name for bias in find_biases(Network(b.model()))] == ["conv1"]


def unit(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    raised = values - values.min(axis=axes, keepdims=True)
    return np.asarray(raised / (raised.max(axis=axes, keepdims=True) + 1e-7))


def classifier_map(model: onnx.ModelProto, x: np.ndarray, k: int, scaled: str) -> np.ndarray:
    """`classifier` explained in NumPy, (N, H, W): the picture and two convolutions' biases."""
    made = onnxcam.append_gradients(model, "logits", ["image", "conv1", "conv2"], seed=True)
    seed = np.eye(CLASSES, dtype=np.float32)[[k] * len(x)]
    names = ["image_grad", "conv1_grad", "conv2_grad"]
    first, *others = session(made).run(names, {"image": x, "logits_seed": seed})
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    biases = [stored[f"conv{i}.bias"][:, None, None] for i in (1, 2)]
    terms = [x * first, *(b * g for b, g in zip(biases, others, strict=True))]
    axes = (2, 3) if scaled == "channel" else (1, 2, 3)
    sums = [unit(np.abs(term), axes).sum(axis=1) for term in terms]
    large = [np.stack([cv2.resize(one, (16, 16)) for one in total]) for total in sums]
    return np.asarray(np.sum(large, axis=0))


@pytest.mark.parametrize("scaled", ["channel", "layer"])
def test_the_map_of_a_classifier(scaled: str) -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(3)
    explainer = onnxcam.Explainer(model, "fullgrad", scaled=scaled)
    answer = explainer.run(x, top=3)
    assert answer["raw"].shape == (3, 3, 16, 16)
    for n, k in np.ndindex(3, 3):
        expected = classifier_map(model, x, int(answer["target"][n, k]), scaled)[n]
        np.testing.assert_allclose(answer["raw"][n, k], expected, atol=1e-4)


def test_a_bias_on_another_way_does_not_count() -> None:
    plain, beside = classifier(("batch", 3, 16, 16)), two_outputs()
    side = Build()
    side.conv("features", "elsewhere", (2, 8, 1, 1))
    beside.graph.node.extend(side.nodes)
    beside.graph.initializer.extend(side.stored)
    beside.graph.output.append(onnx.helper.make_tensor_value_info("elsewhere", 1, None))
    maps = [onnxcam.Explainer(one, "fullgrad").run(pictures())["raw"] for one in (plain, beside)]
    np.testing.assert_allclose(*maps, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (channels_last(), pictures(2).transpose(0, 2, 3, 1)),
        (vit_like(), pictures()),
        (normalised(11), pictures(2)),
    ],
    ids=["NHWC", "tokens", "opset 11"],
)
def test_it_has_the_pictures_size_and_bakes(model: onnx.ModelProto, x: np.ndarray) -> None:
    made = onnxcam.rewrite(model, "fullgrad", top=2)
    baked = Runner(made).run({"image": x})["cam"]
    assert baked.shape == (len(x), 2, 16, 16)
    assert np.isfinite(baked).all()
    assert baked.min() >= 0
    assert baked.max() > 1
    answer = onnxcam.Explainer(model, "fullgrad").run(x, top=2)["raw"]
    np.testing.assert_allclose(answer, baked, atol=1e-5)


def test_it_takes_no_layer_and_knows_its_parameter() -> None:
    with pytest.raises(LayerError, match="leave the layer out"):
        onnxcam.Explainer(classifier(), "fullgrad", layer="features").run(pictures())
    with pytest.raises(MethodError, match="channel or layer"):
        onnxcam.Explainer(classifier(), "fullgrad", scaled="no")
