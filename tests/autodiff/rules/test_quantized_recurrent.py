"""DynamicQuantizeLSTM, as ONNX Runtime's quantiser writes it, against the LSTM that it was."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from autodiff.numeric import session_of
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from onnxcam.gradients import append_gradients

STEPS, BATCH, INPUTS, HIDDEN = 5, 2, 8, 16


def lstm(direction: str) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    ways = 2 if direction == "bidirectional" else 1
    shapes = {"w": (ways, 4 * HIDDEN, INPUTS), "r": (ways, 4 * HIDDEN, HIDDEN)}
    shapes["b"] = (ways, 8 * HIDDEN)
    stored = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32) / 3, name)
        for name, shape in shapes.items()
    ]
    node = helper.make_node(
        "LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=HIDDEN, direction=direction
    )
    kind = onnx.TensorProto.FLOAT
    x = helper.make_tensor_value_info("x", kind, ["steps", "batch", INPUTS])
    y = helper.make_tensor_value_info("y", kind, ["steps", ways, "batch", HIDDEN])
    graph = helper.make_graph([node], "lstm", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_its_gradient_is_close_to_the_lstms(
    direction: str, per_channel: bool, tmp_path: Path
) -> None:
    plain, path = lstm(direction), tmp_path / "quantised.onnx"
    quantize_dynamic(plain, path, weight_type=QuantType.QInt8, per_channel=per_channel)
    quantised = onnx.load(path)
    assert "DynamicQuantizeLSTM" in {node.op_type for node in quantised.graph.node}
    rng = np.random.default_rng(1)
    feeds = {"x": rng.normal(size=(STEPS, BATCH, INPUTS)).astype(np.float32)}
    shape = session_of(plain).run(["y"], feeds)[0].shape
    feeds["y_seed"] = rng.normal(size=shape).astype(np.float32)
    expected, found = (
        session_of(append_gradients(model, "y", ["x"], seed=True)).run(["x_grad"], feeds)[0]
        for model in (plain, quantised)
    )
    assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)
    assert not np.array_equal(found, expected)
