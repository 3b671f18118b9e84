"""Files in ONNX Runtime's blocked layout, put back into the ordinary one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxcam.errors import ModelError
from onnxcam.gradients import append_gradients
from onnxcam.graph.nchwc import BLOCKED, runtime_block, unblocked
from onnxcam.graph.network import Network

Node = tuple[str, list[str], dict[str, Any]]
PADDED = {"pads": [1, 1, 1, 1]}


def network(
    nodes: list[Node], weights: dict[str, tuple[int, ...]], size: int = 8
) -> onnx.ModelProto:
    """A model from (operator, inputs, attributes), of random weights; node k makes tensor tk."""
    rng = np.random.default_rng(0)
    stored = {name: rng.standard_normal(dims) / 3 for name, dims in weights.items()}
    made = [
        helper.make_node(op, inputs, [f"t{k}"], name=f"n{k}", **attrs)
        for k, (op, inputs, attrs) in enumerate(nodes)
    ]
    graph = helper.make_graph(
        made,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info(made[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in stored.items()],
    )
    graph.initializer.append(numpy_helper.from_array(np.float32([1, 1, 2, 2]), "scales"))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


STEM: Node = ("Conv", ["x", "stem"], PADDED)
NETWORKS = {
    "stem": ([STEM], {"stem": (16, 3, 3, 3)}),
    "dense": (
        [STEM, ("Relu", ["t0"], {}), ("Conv", ["t1", "w", "b"], {"strides": [2, 2]})],
        {"stem": (32, 3, 3, 3), "w": (48, 32, 3, 3), "b": (48,)},
    ),
    "padded channels": (
        [STEM, ("Sigmoid", ["t0"], {}), ("Conv", ["t1", "w"], {})],
        {"stem": (20, 3, 3, 3), "w": (12, 20, 1, 1)},
    ),
    "padded input": (
        [STEM, ("Softmax", ["t0"], {"axis": 1}), ("Conv", ["t1", "w"], {})],
        {"stem": (20, 3, 3, 3), "w": (16, 20, 1, 1)},
    ),
    "depthwise": (
        [STEM, ("Conv", ["t0", "w"], {"group": 24, **PADDED})],
        {"stem": (24, 3, 3, 3), "w": (24, 1, 3, 3)},
    ),
    "grouped": (
        [STEM, ("Conv", ["t0", "w"], {"group": 2})],
        {"stem": (64, 3, 3, 3), "w": (32, 32, 3, 3)},
    ),
    "sum and activation": (
        [
            STEM,
            ("Conv", ["t0", "w"], PADDED),
            ("Add", ["t1", "t0"], {}),
            ("Relu", ["t2"], {}),
        ],
        {"stem": (16, 3, 3, 3), "w": (16, 16, 3, 3)},
    ),
    "hard swish": (
        [STEM, ("HardSwish", ["t0"], {}), ("Conv", ["t1", "w"], {})],
        {"stem": (16, 3, 3, 3), "w": (16, 16, 1, 1)},
    ),
    "pools": (
        [
            STEM,
            ("MaxPool", ["t0"], {"kernel_shape": [3, 3], "strides": [2, 2], **PADDED}),
            ("AveragePool", ["t1"], {"kernel_shape": [2, 2]}),
            ("GlobalAveragePool", ["t2"], {}),
            ("GlobalMaxPool", ["t1"], {}),
            ("Add", ["t3", "t4"], {}),
        ],
        {"stem": (20, 3, 3, 3)},
    ),
    "upsampling": (
        [
            STEM,
            (
                "Resize",
                ["t0", "", "scales"],
                {
                    "mode": "nearest",
                    "coordinate_transformation_mode": "asymmetric",
                    "nearest_mode": "floor",
                },
            ),
            ("Conv", ["t1", "w"], {}),
        ],
        {"stem": (16, 3, 3, 3), "w": (16, 16, 3, 3)},
    ),
    "squeeze and excitation": (
        [
            STEM,
            ("GlobalAveragePool", ["t0"], {}),
            ("Conv", ["t1", "w"], {}),
            ("HardSigmoid", ["t2"], {}),
            ("Mul", ["t3", "t0"], {}),
            ("Conv", ["t4", "v"], {}),
        ],
        {"stem": (32, 3, 3, 3), "w": (32, 32, 1, 1), "v": (16, 32, 1, 1)},
    ),
    "concatenation": (
        [STEM, ("Concat", ["t0", "t0"], {"axis": 1}), ("Conv", ["t1", "w"], {})],
        {"stem": (16, 3, 3, 3), "w": (16, 32, 1, 1)},
    ),
    "channels last": (
        [
            STEM,
            ("Transpose", ["t0"], {"perm": [0, 2, 3, 1]}),
            ("Softmax", ["t1"], {"axis": -1}),
            ("Transpose", ["t2"], {"perm": [0, 3, 1, 2]}),
            ("Conv", ["t3", "w"], {}),
        ],
        {"stem": (16, 3, 3, 3), "w": (16, 16, 1, 1)},
    ),
}


def blocked(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """What ONNX Runtime saves of it at its highest level."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "blocked.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return onnx.load(folder / "blocked.onnx")


def run(model: onnx.ModelProto) -> np.ndarray:
    """The output, not optimised."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_computes_what_the_blocked_file_does(name: str, tmp_path: Path) -> None:
    model = network(*NETWORKS[name])
    file = blocked(model, tmp_path)
    assert any(node.domain == BLOCKED for node in file.graph.node)
    plain = unblocked(file)
    onnx.checker.check_model(plain)
    assert not any(node.domain == BLOCKED for node in plain.graph.node)
    assert {entry.domain for entry in plain.opset_import} >= {""}
    np.testing.assert_allclose(run(plain), run(model), atol=2e-5)
    np.testing.assert_allclose(run(plain), run(file), atol=2e-5)


@pytest.mark.parametrize(
    "name", ["dense", "hard swish", "squeeze and excitation", "sum and activation"]
)
def test_its_gradient_is_that_of_the_original(name: str, tmp_path: Path) -> None:
    model = network(*NETWORKS[name])
    output = model.graph.output[0].name
    found = []
    for each in (model, blocked(model, tmp_path)):
        file = append_gradients(each, of=output, wrt=["x"])
        session = onnxruntime.InferenceSession(file.SerializeToString())
        feeds = {"x": np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)}
        found += session.run(["x_grad"], feeds)
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_all_shapes_are_known(tmp_path: Path) -> None:
    model = blocked(network(*NETWORKS["padded input"]), tmp_path)
    read = Network(model)
    shapes = [t.shape for node in read.graph.nodes for t in node.outputs]
    assert all(shape is not None and None not in shape for shape in shapes)


def by_hand(block: int, channels: int) -> onnx.ModelProto:
    """A blocked file of a stem and a pointwise convolution, written here."""
    model = network(
        [STEM, ("Conv", ["t0", "w"], {})],
        {"stem": (channels, 3, 3, 3), "w": (channels, channels, 1, 1)},
    )
    for node in model.graph.node:
        node.domain = BLOCKED
    for tensor in model.graph.initializer[:2]:
        value = numpy_helper.to_array(tensor)
        o, i, h, w = value.shape
        if tensor.name == "stem":
            laid_out = value.reshape(o // block, block, i, h, w).transpose(0, 2, 3, 4, 1)
        else:
            laid_out = value.reshape(o // block, block, i // block, block, h, w)
            laid_out = laid_out.transpose(0, 2, 4, 5, 3, 1)
        tensor.raw_data = np.ascontiguousarray(laid_out).tobytes()
    out = helper.make_node("ReorderOutput", ["t1"], ["y"], domain=BLOCKED, channels=channels - 2)
    model.graph.node.append(out)
    model.graph.output[0].name = "y"
    model.opset_import.append(helper.make_opsetid(BLOCKED, 1))
    return model


@pytest.mark.parametrize(("block", "channels"), [(8, 24), (8, 8), (16, 48)])
def test_the_block_size_is_read_off_the_file(block: int, channels: int) -> None:
    weights = {"stem": (channels, 3, 3, 3), "w": (channels, channels, 1, 1)}
    plain = network([STEM, ("Conv", ["t0", "w"], {})], weights)
    if channels % 16 == 0:  # both sizes fit: the runtime's is taken
        block = runtime_block()
    file = by_hand(block, channels)
    np.testing.assert_allclose(run(unblocked(file)), run(plain)[:, : channels - 2], atol=2e-5)


def test_a_block_size_that_nothing_has_is_refused() -> None:
    with pytest.raises(ModelError, match="lower optimisation level"):
        unblocked(by_hand(12, 12))


def test_other_models_are_left_alone() -> None:
    model = network(*NETWORKS["stem"])
    assert unblocked(model) is model
