"""Models in unusual forms: what is read of them computes what they compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from autodiff.numeric import session_of
from builders import classifier, vit_like
from onnx import TensorProto, helper, numpy_helper

from onnxcam.errors import ModelError
from onnxcam.graph.nchwc import BLOCKED
from onnxcam.graph.normal_form import in_normal_form

node = helper.make_node
X = np.random.default_rng(0).normal(size=(2, 3, 9, 9)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(16, 3, 3, 3)).astype(np.float32)
DOUBTFUL = {"kernel_shape": [4, 4], "strides": [3, 3], "pads": [1, 1, 2, 2], "ceil_mode": 1}


def model_of(nodes: Sequence[onnx.NodeProto], opset: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 9, 9])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "channels", "rows", "columns"])
    stored = [numpy_helper.from_array(W, "w"), numpy_helper.from_array(np.array(1), "one")]
    graph = helper.make_graph(nodes, "unusual", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def unordered() -> onnx.ModelProto:
    return model_of([node("Relu", ["c"], ["y"]), node("Conv", ["x", "w"], ["c"])], 18)


def old() -> onnx.ModelProto:
    """Pads of opset 9 are attributes, its Softmax flattens."""
    nodes = [
        node("Pad", ["x"], ["p"], pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5),
        node("Softmax", ["p"], ["s"], axis=2),
        node("Clip", ["s"], ["y"], min=0.01, max=0.3),
    ]
    return model_of(nodes, 9)


def old_and_unordered() -> onnx.ModelProto:
    model = old()
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def functions() -> onnx.ModelProto:
    """A call in front of what it reads, of a function that pools and takes a sequence apart."""
    body = [
        node("MaxPool", ["a"], ["p"], **DOUBTFUL),
        node("Constant", [], ["second"], value_int=1),
        node("Constant", [], ["lengths"], value_ints=[7, 9]),
        node("SplitToSequence", ["p", "lengths"], ["parts"], axis=1),
        node("SequenceAt", ["parts", "second"], ["b"]),
    ]
    model = model_of([node("f", ["c"], ["y"], domain="loc"), node("Conv", ["x", "w"], ["c"])], 18)
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("loc", "f", ["a"], ["b"], body, opsets))
    model.opset_import.append(helper.make_opsetid("loc", 1))
    return model


def sequence() -> onnx.ModelProto:
    nodes = [
        node("SequenceAt", ["parts", "one"], ["y"]),
        node("SplitToSequence", ["c"], ["parts"], axis=1),
        node("Conv", ["x", "w"], ["c"]),
    ]
    return model_of(nodes, 13)


def windows() -> onnx.ModelProto:
    return model_of([node("Neg", ["x"], ["s"]), node("MaxPool", ["s"], ["y"], **DOUBTFUL)], 18)


MODELS = [unordered, old, old_and_unordered, functions, sequence, windows]
RUN_IN_ORDER = {old_and_unordered: old}
"""What ONNX Runtime is given in place of a model that it does not take."""


@pytest.mark.parametrize("made", MODELS)
def test_it_computes_what_the_model_does(made: Callable[[], onnx.ModelProto]) -> None:
    model = made()
    before = model.SerializeToString()
    found = in_normal_form(model)
    assert model.SerializeToString() == before
    onnx.checker.check_model(found, full_check=True)
    assert not found.functions
    assert not any(n.op_type == "SequenceAt" for n in found.graph.node)
    assert min(entry.version for entry in found.opset_import if not entry.domain) >= 11
    (want,) = session_of(RUN_IN_ORDER.get(made, made)()).run(["y"], {"x": X})
    (got,) = session_of(found).run(["y"], {"x": X})
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_a_runtimes_own_layout_out_of_order(tmp_path: Path) -> None:
    model = model_of([node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])], 18)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "blocked.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    file = onnx.load(tmp_path / "blocked.onnx")
    nodes = list(file.graph.node)[::-1]
    assert any(n.domain == BLOCKED for n in nodes)
    del file.graph.node[:]
    file.graph.node.extend(nodes)
    found = in_normal_form(file)
    assert not any(n.domain == BLOCKED for n in found.graph.node)
    (want,) = session_of(model).run(["y"], {"x": X})
    np.testing.assert_allclose(session_of(found).run(["y"], {"x": X})[0], want, atol=1e-5)


@pytest.mark.parametrize("made", [classifier, vit_like, lambda: classifier(opset=11)])
def test_ordinary_models_pass_untouched(made: Callable[[], onnx.ModelProto]) -> None:
    model = made()
    assert in_normal_form(model) is model


@pytest.mark.parametrize("made", [m for m in MODELS if m not in (functions, windows)])
def test_what_is_in_the_form_stays_as_it_is(made: Callable[[], onnx.ModelProto]) -> None:
    """All but a stated window, which is a doubtful one still."""
    found = in_normal_form(made())
    assert in_normal_form(found) is found


def test_a_cycle_out_of_functions_is_refused() -> None:
    model = functions()
    model.graph.node[1].input[0] = "y"
    with pytest.raises(ModelError, match="cycle"):
        in_normal_form(model)
