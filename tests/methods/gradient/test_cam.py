"""CAM where there is a classifier's row, and nowhere else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from builders import channels_last, classifier, conv_trunk, se_like, vgg_like, vit_like
from graphs import CLASSES, Build, pictures, weights

import onnxcam
from onnxcam.errors import MethodError
from onnxcam.runtime import Runner


def headed(*behind: str) -> onnx.ModelProto:
    """Convolutions, an average pool, and a head of one's own, ending in `logits`."""
    b = Build(("n", 3, 16, 16))
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    if "1x1 convolutions" in behind:
        b.conv("pooled", "narrow", (4, 8, 1, 1))
        b.conv("narrow", "wide", (CLASSES, 4, 1, 1))
        b.op("Flatten", ["wide"], "logits")
    elif "hidden layer" in behind:
        b.op("Flatten", ["pooled"], "flat")
        b.linear("flat", "hidden", 8, 6)
        b.op("Relu", ["hidden"], "active")
        b.linear("active", "logits", 6, CLASSES)
    else:
        b.op("Flatten", ["pooled"], "flat")
        b.weight("mean", weights(8))
        b.weight("scale", weights(8, seed=1))
        b.op("Sub", ["flat", "mean"], "centred")
        b.op("Mul", ["centred", "scale"], "scaled")
        b.op("Identity", ["scaled"], "same")
        b.linear("same", "hidden", 8, 6)
        b.linear("hidden", "logits", 6, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


@pytest.mark.parametrize("head", ["1x1 convolutions", "linear layers"])
def test_any_chain_of_linear_layers_is_one_row(head: str) -> None:
    """The row is found by moving one channel everywhere and looking at the logit."""
    model, x = headed(head), pictures(1)
    raw = onnxcam.Explainer(model, "cam").run(x, target=3)["raw"][0, 0]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.input.append(onnx.helper.make_tensor_value_info("features", 1, ["n", 8, 8, 8]))
    made = [node for node in probe.graph.node if node.output[0] != "features"]
    del probe.graph.node[:]
    probe.graph.node.extend(made)
    probe.graph.output.append(onnx.helper.make_tensor_value_info("conv2", 1, None))
    shifts = np.concatenate([np.zeros((1, 8)), np.eye(8)]).astype(np.float32)
    fed = np.broadcast_to(shifts[:, :, None, None], (9, 8, 8, 8)).copy()
    runner = Runner(probe)
    logits = runner.run({"image": np.repeat(x, 9, axis=0), "features": fed})["logits"][:, 3]
    seen = relu(runner.run({"image": x, "features": fed[:1]})["conv2"])[0]
    row = logits[1:] - logits[0]
    np.testing.assert_allclose(raw, np.einsum("c,chw->hw", row, seen), rtol=1e-3, atol=1e-4)


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def test_a_softmax_at_the_end_does_not_matter() -> None:
    x = pictures(1).transpose(0, 2, 3, 1)
    assert onnxcam.Explainer(channels_last(), "cam").run(x)["raw"].any()


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (vgg_like(), None),
        (classifier(), "conv1"),
        (se_like(), "features"),
        (headed("hidden layer"), None),
        (vit_like(), None),
    ],
    ids=["flattened", "further layers", "a gate", "a hidden layer", "a class token"],
)
def test_other_heads_are_refused(model: onnx.ModelProto, layer: str | None) -> None:
    explainer = onnxcam.Explainer(model, "cam", layer=layer)
    with pytest.raises(MethodError, match=r"cam needs .* layer '\w+'; gradcam is"):
        explainer.run(pictures())


def test_a_probability_has_no_row() -> None:
    with pytest.raises(MethodError, match="cam needs"):
        onnxcam.Explainer(classifier(), "cam", score="probability").run(pictures())


@pytest.mark.parametrize("eps", [-1.0, float("nan"), float("inf")])
def test_eps_must_be_a_number_from_zero(eps: float) -> None:
    with pytest.raises(MethodError, match="eps"):
        onnxcam.Explainer(classifier(), "gradcam++", eps=eps)
