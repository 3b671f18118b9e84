"""What lies behind a layer, run on changed activations, against the whole model cut in two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import as_float16, classifier, conv_trunk, head, two_inputs, vit_like
from graphs import CLASSES, SIDE, Build, pictures, weights
from methods.search.rerunning import logits_behind, values_of
from onnx import TensorProto
from vision_transformers import Transformer

from onnxcam.behind import _repeated
from onnxcam.equipment import Equipment
from onnxcam.errors import ModelError
from onnxcam.graph.named_layers import resolve_layers
from onnxcam.graph.network import Network
from onnxcam.laboratory import Laboratory
from onnxcam.targets import Classes

ALL = Classes(tuple(range(CLASSES)))


def laboratory(
    model: onnx.ModelProto | Path, layer: str, feeds: dict[str, np.ndarray], n: int = 0
) -> Laboratory:
    """The lab of one picture, all its classes the targets."""
    network = Network(model)
    equipment = Equipment(network, resolve_layers(network, layer), ALL, None)
    return Laboratory(equipment, feeds, ALL, equipment.answer(feeds, ALL), n)


def changed(activations: np.ndarray, count: int = 5) -> np.ndarray:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((count, *activations.shape[1:])).astype(np.float32)
    return activations * (1 + 0.5 * noise)


def flattened(batch: int | str, lengths: list[int]) -> onnx.ModelProto:
    """`classifier` with a Reshape to stored lengths in place of its Flatten."""
    b = Build((batch, 3, SIDE, SIDE))
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.weight("lengths", np.array(lengths))
    b.op("Reshape", ["pooled", "lengths"], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", [batch, CLASSES])
    return b.model()


def shaped_by_the_picture() -> onnx.ModelProto:
    """The batch of the last Reshape is read from the picture, around the layer."""
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Shape", ["image"], "sizes")
    b.weight("zero", np.array([0]))
    b.weight("minus", np.array([-1]))
    b.op("Gather", ["sizes", "zero"], "count", axis=0)
    b.op("Concat", ["count", "minus"], "lengths", axis=0)
    b.op("Reshape", ["pooled", "lengths"], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def centred_over_the_batch() -> onnx.ModelProto:
    """Scores that depend on who else is in the batch."""
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    head(b, batch="n")
    b.outputs.clear()
    b.op("ReduceMax", ["flat"], "highest", axes=[0], keepdims=1)
    b.op("Mul", ["flat", "highest"], "scaled")
    b.nodes = [node for node in b.nodes if node.output[0] != "logits"]
    b.weight("w2", weights(8, CLASSES))
    b.op("MatMul", ["scaled", "w2"], "logits")
    b.output("logits", ["n", CLASSES])
    b.opset = 17
    return b.model()


def skipping(axis: int) -> onnx.ModelProto:
    """A skip connection whose batch is folded into its columns, outermost or innermost."""
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    b.op("GlobalAveragePool", ["relu1"], "early")
    if axis == 1:  # (6, n): the channels lead
        b.op("Flatten", ["early"], "early_flat")
        b.op("Transpose", ["early_flat"], "early_turned", perm=[1, 0])
        b.weight("column", np.array([-1]))
        b.op("Reshape", ["early_turned", "column"], "crossed")
        b.weight("lengths", np.array([6, -1]))
        b.op("Reshape", ["crossed", "lengths"], "back_turned")
        b.op("Transpose", ["back_turned"], "back", perm=[1, 0])
    else:
        b.weight("column", np.array([-1]))
        b.op("Reshape", ["early", "column"], "crossed")
        b.weight("lengths", np.array([-1, 6]))
        b.op("Reshape", ["crossed", "lengths"], "back")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.op("Concat", ["flat", "back"], "joined", axis=1)
    b.linear("joined", "logits", 14, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


@pytest.mark.parametrize(
    ("make", "layer", "crossing", "together"),
    [
        (lambda: classifier(("n", 3, SIDE, SIDE)), "features", set(), True),
        (lambda: classifier(("n", 3, SIDE, SIDE)), "conv1", set(), True),
        (classifier, "relu1", set(), True),
        (lambda: flattened(1, [1, 8]), "features", set(), True),
        (lambda: flattened(1, [1, -1]), "features", set(), True),
        (lambda: flattened("n", [-1, 8]), "features", set(), True),
        (shaped_by_the_picture, "features", {"lengths"}, True),
        (centred_over_the_batch, "features", set(), False),
        (vit_like, "normed", {"embedded"}, True),
        (vit_like, "patches", set(), False),  # its class token is stored once
        (lambda: skipping(0), "features", {"back"}, True),
        (lambda: skipping(1), "features", {"back"}, True),
    ],
)
def test_the_head_on_changed_activations(
    make: Callable[[], onnx.ModelProto], layer: str, crossing: set[str], together: bool
) -> None:
    model, x = make(), pictures(1)
    lab = laboratory(model, layer, {"image": x})
    values = values_of(model, [layer, *crossing - {"lengths"}], x)
    variants = changed(values[layer])
    if "lengths" in crossing:
        values["lengths"] = np.array([1, -1])
    inside = [values | {layer: variant[None]} for variant in variants]
    expected = logits_behind(model, inside)
    found = lab.head_scores(variants)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(lab.head_scores(lab.activations), lab.score[None], rtol=1e-4)
    assert set(lab._head.section.crossing) == crossing
    section = lab._head.section
    assert section.together == (section.largest_batch if together else 1)
    assert section.largest_batch > 1


def test_half_precision_inside() -> None:
    model, x = as_float16(classifier(("n", 3, SIDE, SIDE))), pictures(1).astype(np.float16)
    lab = laboratory(model, "features", {"image": x})
    variants = changed(lab.activations)
    inside = [{"features": variant[None].astype(np.float16)} for variant in variants]
    found = lab.head_scores(variants)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, logits_behind(model, inside), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("zero_point", [None, 3])
def test_a_layer_of_integers_that_stand_for_real_numbers(zero_point: int | None) -> None:
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    b.weight("step", np.float32(0.05))
    step = ["step"]
    if zero_point is not None:
        b.weight("zero", np.uint8(zero_point))
        step.append("zero")
    b.op("QuantizeLinear", ["features", *step], "rounded")
    b.op("DequantizeLinear", ["rounded", *step], "real")
    head(b, "real", batch="n")
    model = b.model()
    lab = laboratory(model, "rounded", {"image": pictures(1)})
    np.testing.assert_allclose(lab.head_scores(lab.activations), lab.score[None], rtol=1e-5)
    variants = np.repeat(lab.activations, 3, axis=0)
    variants[1, 2], variants[2, :, 4] = 0, 0
    inside = [{"real": variant[None]} for variant in variants]
    np.testing.assert_allclose(
        lab.head_scores(variants), logits_behind(model, inside), rtol=1e-4, atol=1e-5
    )


def test_the_second_picture_of_a_batch_and_another_input() -> None:
    """What crosses is that picture's own, and so is the second input's value."""
    model, x, gain = two_inputs(), pictures(2), np.array([2.5], np.float32)
    lab = laboratory(model, "features", {"image": x, "gain": gain}, n=1)
    assert set(lab._head.section.crossing) == {"gain"}
    variants = changed(lab.activations)
    inside = [{"features": variant[None]} for variant in variants]
    np.testing.assert_allclose(
        lab.head_scores(variants), gain * logits_behind(model, inside), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        lab.scores(x), np.stack([lab.scores(x[:1])[0], lab.score]), rtol=1e-4
    )


@pytest.mark.parametrize("batch", [1, "n"])
def test_what_crosses_is_seen_in_the_unchanged_run(batch: int | str) -> None:
    """No further run of the front of the model, and each picture's own values."""
    model = Transformer(size=(SIDE, SIDE), norm="layer", batch=batch).model()
    x = pictures(2 if batch == "n" else 1)
    network, layer = Network(model), "block1.norm1"
    equipment = Equipment(network, resolve_layers(network, layer), ALL, None, runs_behind=True)
    n = len(x) - 1
    lab = Laboratory(equipment, {"image": x}, ALL, equipment.answer({"image": x}, ALL), n)
    variants = changed(lab.activations)
    skip = values_of(model, ["block0.out"], x[n:])
    inside = [skip | {layer: variant[None]} for variant in variants]
    np.testing.assert_allclose(
        lab.head_scores(variants), logits_behind(model, inside), rtol=1e-4, atol=1e-5
    )
    assert "_front" not in vars(lab._head.section)


def test_a_batch_fixed_to_several_is_filled() -> None:
    model, x = classifier((3, 3, SIDE, SIDE)), pictures(3)
    lab = laboratory(model, "relu1", {"image": x}, n=2)
    free = classifier()
    variants = changed(lab.activations, 4)
    inside = [{"relu1": variant[None]} for variant in variants]
    np.testing.assert_allclose(
        lab.head_scores(variants), logits_behind(free, inside), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(lab.scores(x)[2], lab.score, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, "n"])
def test_whole_pictures(batch: int | str) -> None:
    model, x = classifier((batch, 3, SIDE, SIDE)), pictures(5)
    lab = laboratory(model, "features", {"image": x[:1]})
    expected = np.concatenate(
        [values_of(classifier(), ["logits"], one[None])["logits"] for one in x]
    )
    np.testing.assert_allclose(lab.scores(x), expected, rtol=1e-4, atol=1e-5)
    raised = np.exp(expected - expected.max(1, keepdims=True))
    np.testing.assert_allclose(
        lab.probabilities(x), raised / raised.sum(1, keepdims=True), rtol=1e-4, atol=1e-6
    )
    assert lab._whole.section.together == lab._whole.section.largest_batch > 1


def test_only_the_weights_behind_the_layer_are_loaded() -> None:
    lab = laboratory(classifier(), "relu1", {"image": pictures(1)})
    graph = lab._head.section.split.model.graph
    assert {"conv2.weight", "logits.bias"} < {tensor.name for tensor in graph.initializer}
    assert not [tensor for tensor in graph.initializer if tensor.name.startswith("conv1")]
    assert [node.op_type for node in graph.node][:2] == ["Conv", "Relu"]


def test_weights_in_another_file(save: Callable[..., Path]) -> None:
    b = Build(("n", 3, SIDE, SIDE))
    b.conv("image", "conv1", (64, 3, 3, 3))
    b.op("Relu", ["conv1"], "features")
    b.conv("features", "conv2", (64, 64, 3, 3), strides=[2, 2])
    head(b, "conv2", 64, batch="n")
    model = b.model()
    path = save(model, "outside.onnx", save_as_external_data=True, size_threshold=0)
    lab = laboratory(path, "features", {"image": pictures(1)})
    variants = changed(lab.activations, 2)
    inside = [{"features": variant[None]} for variant in variants]
    np.testing.assert_allclose(
        lab.head_scores(variants), logits_behind(b.model(), inside), rtol=1e-4, atol=1e-4
    )


def test_a_body_that_reads_the_layer() -> None:
    """Both branches of an If read from outside: the layer, and what crosses."""
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    b.weight("yes", np.array(True))
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("GlobalAveragePool", ["conv2"], "early")

    def body(name: str, sign: str) -> onnx.GraphProto:
        node = onnx.helper.make_node(sign, ["pooled", "early"], [f"{name}_out"])
        out = onnx.helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)
        return onnx.helper.make_graph([node], name, [], [out])

    b.op("If", ["yes"], "chosen", then_branch=body("then", "Add"), else_branch=body("else", "Sub"))
    b.op("Flatten", ["chosen"], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", ["n", CLASSES])
    model, x = b.model(), pictures(1)
    lab = laboratory(model, "features", {"image": x})
    variants = changed(lab.activations)
    early = values_of(model, ["early"], x)["early"]
    pooled = variants.mean((2, 3)) + early[:, :, 0, 0]
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    expected = pooled @ stored["logits.weight"].T + stored["logits.bias"]
    np.testing.assert_allclose(lab.head_scores(variants), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_the_target_does_not_depend_on() -> None:
    b = Build(("n", 3, SIDE, SIDE))
    conv_trunk(b)
    b.op("Relu", ["conv2"], "aside")
    head(b, batch="n")
    b.output("aside", None)
    lab = laboratory(b.model(), "aside", {"image": pictures(1)})
    with pytest.raises(ModelError, match="does not depend on 'aside'"):
        lab.head_scores(lab.activations)


@pytest.mark.parametrize(
    ("one", "two", "three"),
    [
        ([[1, 2]], [[1, 2], [1, 2]], [[1, 2]] * 3),
        ([1, 2], [1, 2, 1, 2], [1, 2] * 3),
        ([1, 2], [1, 1, 2, 2], [1, 1, 1, 2, 2, 2]),
        ([[1], [2]], [[1, 1], [2, 2]], [[1, 1, 1], [2, 2, 2]]),
        ([1, -1], [2, -1], [3, -1]),
        ([49, 3], [98, 3], [147, 3]),
        ([7, 8], [7, 8], [7, 8]),
    ],
)
def test_how_a_value_follows_the_batch(one: object, two: object, three: object) -> None:
    found = _repeated(np.array(one), np.array(two), 3)
    np.testing.assert_array_equal(found, np.array(three))


def test_without_a_second_run_pictures_are_taken_to_be_whole() -> None:
    value = np.array([[1.0, 2.0]])
    np.testing.assert_array_equal(_repeated(value, None, 2), [[1, 2], [1, 2]])
    np.testing.assert_array_equal(_repeated(np.array([1, -1]), None, 2), [1, -1])
