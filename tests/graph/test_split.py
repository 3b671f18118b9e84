"""The model behind a cut as a model: what it holds, what crosses, what was opened."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from builders import classifier, conv_trunk, head, paddle_like, vit_like
from graphs import CLASSES, SIDE, Build, weights

from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.graph.split import Split, split


def cut(model: onnx.ModelProto, *names: str, of: str = "logits") -> Split:
    network = Network(model)
    tensors = [network.tensors[name] for name in names]
    return split(Emitter(network), tensors, {"answer": network.tensors[of]}, {})


def ops(found: Split) -> list[str]:
    return [node.op_type for node in found.model.graph.node]


def stored(found: Split) -> dict[str, np.ndarray]:
    tensors = found.model.graph.initializer
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}


def test_it_is_a_valid_model_with_the_weights_it_needs() -> None:
    found = cut(classifier(), "relu1")
    onnx.checker.check_model(found.model, full_check=True)
    assert ops(found) == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm", "Identity"]
    assert set(stored(found)) == {"conv2.weight", "conv2.bias", "logits.weight", "logits.bias"}
    assert [value.name for value in found.model.graph.input] == ["relu1"]
    assert found.entrances == ("relu1",)
    assert found.crossing == {}
    assert found.largest == 8 * 8 * 8  # conv2's


def test_the_batch_of_the_entrance_is_open_and_its_other_lengths_are_not() -> None:
    dims = cut(classifier(), "relu1").model.graph.input[0].type.tensor_type.shape.dim
    assert not dims[0].HasField("dim_value")
    assert [dim.dim_value for dim in dims[1:]] == [6, SIDE // 2, SIDE // 2]


def test_the_picture_itself_can_be_the_cut() -> None:
    found = cut(classifier(), "image")
    assert len(found.model.graph.node) == len(classifier().graph.node) + 1
    assert found.crossing == {}


@pytest.mark.parametrize("batch", ["?", 1])
def test_constants_made_by_nodes_come_along(batch: str | int) -> None:
    model = paddle_like()
    if batch == 1:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    found = cut(model, "features")
    onnx.checker.check_model(found.model)
    assert ops(found).count("Constant") == 3
    assert "Conv" not in ops(found)


def test_what_leads_around_the_cut_crosses() -> None:
    found = cut(vit_like(), "normed")
    assert set(found.crossing) == {"embedded"}
    assert {value.name for value in found.model.graph.input} == {"normed", "embedded"}
    assert cut(vit_like(), "normed", "embedded").crossing == {}
    assert cut(vit_like(), "embedded").crossing == {}


def test_several_cuts_of_which_one_is_behind_the_other() -> None:
    found = cut(classifier(), "features", "relu1")
    assert ops(found)[0] == "GlobalAveragePool"


@pytest.mark.parametrize(
    ("lengths", "opened"),
    [([1, 8], [-1, 8]), ([1, -1], [0, -1]), ([-1, 8], [-1, 8]), ([0, -1], [0, -1])],
)
def test_reshapes_follow_the_batch(lengths: list[int], opened: list[int]) -> None:
    b = Build()
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.weight("lengths", np.array(lengths))
    b.op("Reshape", ["pooled", "lengths"], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", [1, CLASSES])
    found = cut(b.model(), "features")
    reshape = next(node for node in found.model.graph.node if node.op_type == "Reshape")
    assert stored(found)[reshape.input[1]].tolist() == opened


def test_reshapes_of_weights_stay_as_they_are() -> None:
    b = Build()
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.weight("row", weights(8 * CLASSES))
    b.weight("lengths", np.array([8, CLASSES]))
    b.op("Reshape", ["row", "lengths"], "w")
    b.op("MatMul", ["flat", "w"], "logits")
    b.output("logits", [1, CLASSES])
    found = cut(b.model(), "features")
    reshape = next(node for node in found.model.graph.node if node.op_type == "Reshape")
    assert reshape.input[1] == "lengths"


def test_an_emitted_input_keeps_its_default() -> None:
    network = Network(classifier())
    e = Emitter(network)
    factor = gs.Variable("factor", np.dtype(np.float32), [1, 1])
    answer = e.mul(network.tensors["logits"], factor)
    defaults = {"factor": np.array([[2.0]], np.float32), "unused": np.zeros(1, np.float32)}
    found = split(e, [network.tensors["features"]], {"answer": answer}, defaults)
    assert [value.name for value in found.model.graph.input] == ["features", "factor"]
    assert stored(found)["factor"] == 2.0


def test_the_answer_must_depend_on_the_cut() -> None:
    b = Build()
    conv_trunk(b)
    b.op("Relu", ["conv2"], "aside")
    head(b)
    with pytest.raises(ModelError, match="disconnected"):
        cut(b.model(), "aside")
