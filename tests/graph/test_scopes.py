"""The framework's modules, as far as exporters let them be known."""

from __future__ import annotations

import onnx
import pytest
from graphs import CLASSES, Build, weights

from onnxcam.errors import LayerError
from onnxcam.graph.named_layers import resolve_layers
from onnxcam.graph.network import Network


def keras_volume(
    node: str = "Conv__80", variable: str = "conv/ReadVariableOp:0"
) -> onnx.ModelProto:
    """A 3-D convolution as tf2onnx writes it: without a name, its kernel with Keras's."""
    b = Build((1, 1, 6, 8, 4), opset=15)
    b.weight(f"functional_1/conv3d_7_1/{variable}", weights(5, 1, 3, 3, 3))
    b.op("Conv", ["image", f"functional_1/conv3d_7_1/{variable}"], "y", node, pads=[1] * 6)
    b.op("GlobalAveragePool", ["y"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 5, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


@pytest.mark.parametrize("variable", ["convolution/ReadVariableOp:0", "Cast/ReadVariableOp"])
def test_a_node_without_a_module_lies_where_its_variable_does(variable: str) -> None:
    network = Network(keras_volume(variable=variable))
    assert network.scopes["y"] == ("functional_1", "conv3d_7_1")
    assert network.scopes["pooled"] == ()
    for spec in ("conv3d_7", "conv3d_7_1"):
        assert [layer.name for layer in resolve_layers(network, spec)] == ["y"]


def test_a_node_that_names_its_module_is_believed() -> None:
    network = Network(keras_volume("functional_1/shared_2/Conv"))
    assert network.scopes["y"] == ("functional_1", "shared_2")
    with pytest.raises(LayerError, match="conv3d_7"):
        resolve_layers(network, "conv3d_7")


def test_other_weights_tell_no_module() -> None:
    assert Network(keras_volume(variable="kernel")).scopes["y"] == ()
