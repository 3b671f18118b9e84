"""Dropout in training; at inference it is a case of the operators that only move values."""

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import complete, session_of
from onnx import TensorProto, helper, numpy_helper

from onnxcam.autodiff import differentiate
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

SHAPE = (3, 40)


def dropping(ratio: float | None, training: bool | None, mask: bool = True) -> onnx.ModelProto:
    """The model; without `training` the run says whether it trains."""
    fed = [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)]
    stored = []
    if ratio is not None:
        stored.append(numpy_helper.from_array(np.array(ratio, np.float32), "ratio"))
    if training is None:
        fed.append(helper.make_tensor_value_info("training", TensorProto.BOOL, []))
    else:
        stored.append(numpy_helper.from_array(np.array(training), "training"))
    inputs = ["x", "" if ratio is None else "ratio", "training"]
    node = helper.make_node("Dropout", inputs, ["y", "mask"] if mask else ["y"], seed=5)
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, SHAPE)]
    if mask:
        outputs.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, SHAPE))
    graph = helper.make_graph([node], "dropping", fed, outputs, stored)
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


@pytest.mark.parametrize("ratio", [None, 0.25, 0.7])
@pytest.mark.parametrize(("stored", "trains"), [(True, True), (None, True), (None, False)])
def test_what_is_kept_is_what_flows(ratio: float | None, stored: bool | None, trains: bool) -> None:
    e = Emitter(Network(dropping(ratio, stored)))
    seed = gs.Variable("seed", np.dtype(np.float32), list(SHAPE))
    dx = differentiate(e, {"y": seed}, ["x"])["x"]
    session = session_of(complete(e, {"dx": dx}, [seed]))
    rng = np.random.default_rng(0)
    x, dy = rng.uniform(1, 2, (2, *SHAPE)).astype(np.float32)
    feeds = {"x": x, "seed": dy} | ({} if stored else {"training": np.array(trains)})
    y, mask, got = session.run(["y", "mask", "dx"], feeds)
    assert mask.all() == (not trains)
    np.testing.assert_allclose(got, dy * y / x, rtol=1e-5)


@pytest.mark.parametrize("training", [True, None])
def test_without_its_mask_it_has_no_derivative(training: bool | None) -> None:
    e = Emitter(Network(dropping(0.5, training, mask=False)))
    seed = gs.Variable("seed", np.dtype(np.float32), list(SHAPE))
    with pytest.raises(UnsupportedOperatorError, match="evaluation mode"):
        differentiate(e, {"y": seed}, ["x"])
