"""Normalisations and softmax."""

from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from autodiff.checks import checks
from autodiff.numeric import (
    NEWEST,
    Case,
    assert_close,
    case,
    complete,
    expected,
    feeds_of,
    model_of,
    network_of,
    session_of,
    single,
)

from onnxcam.autodiff import differentiate
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients
from onnxcam.graph.emitter import Emitter

SHAPE = (2, 4, 3)
IMAGE = (2, 4, 3, 3)
SCALE = np.array([0.5, -1.5, 2.0, 1.0])
BIAS = np.array([0.1, 0.2, -0.3, 0.4])
MEAN = np.array([0.3, -0.2, 0.1, 0.0])
VARIANCE = np.array([0.5, 1.5, 2.5, 0.8])

PARAMETERS = (SCALE, BIAS, MEAN, VARIANCE)

BATCH = [
    case("BatchNormalization", shape, *PARAMETERS, opset=opset, runtime=opset < 14, **attrs)
    for shape, opset, attrs in (
        ((2, 4), 14, {}),
        (SHAPE, 11, {}),
        (IMAGE, NEWEST, {"epsilon": 0.1}),
        ((1, 4, 2, 2, 2), 18, {}),
    )
]
LAYER = [
    case("LayerNormalization", SHAPE, np.array([0.5, -1.5, 2.0]), opset=17),
    case("LayerNormalization", SHAPE, np.array([0.5, -1.5, 2.0]), np.ones(3), opset=NEWEST),
    case("LayerNormalization", SHAPE, np.linspace(-1, 2, 12).reshape(4, 3), axis=1),
    case("LayerNormalization", SHAPE, np.array([0.5, 1.5, 2.0]), epsilon=0.3, axis=-1),
]
OTHERS = [
    case("InstanceNormalization", IMAGE, SCALE, BIAS, opset=11, dynamic=((0,), (0, 2, 3))),
    case("InstanceNormalization", SHAPE, SCALE, BIAS, epsilon=0.2),
    case("RMSNormalization", SHAPE, np.array([0.5, -1.5, 2.0]), opset=23),
    case("RMSNormalization", SHAPE, np.linspace(-1, 2, 12).reshape(4, 3), opset=23, axis=1),
    case("LpNormalization", SHAPE),
    case("LpNormalization", SHAPE, p=1, axis=1, runtime=True),
    case("LpNormalization", SHAPE, p=2, axis=-2, opset=22),
    case("MeanVarianceNormalization", IMAGE, opset=13, runtime=True),
    case("MeanVarianceNormalization", IMAGE, axes=[2, 3], dynamic=((0,), (0, 2, 3)), runtime=True),
    case("LRN", IMAGE, size=3, alpha=0.5, beta=0.75, dynamic=((0,), (0, 2, 3)), runtime=True),
    case("LRN", (2, 7, 2, 2), size=5, alpha=0.5, beta=0.6, bias=2.0, runtime=True),
    case("LRN", (2, 3, 2, 2), size=7, alpha=0.9, runtime=True),
]
GROUP = [
    case(
        "GroupNormalization",
        IMAGE,
        scale,
        bias,
        num_groups=2,
        opset=opset,
        dynamic=dynamic,
        runtime=True,
    )
    for scale, bias, opset, dynamic in (
        (SCALE, BIAS, 21, ((0,), (0, 2, 3))),
        (SCALE, BIAS, NEWEST, ((0,),)),
    )
] + [
    case(
        "GroupNormalization",
        SHAPE,
        SCALE,
        BIAS,
        num_groups=4,
        epsilon=0.1,
        opset=21,
        runtime=True,
    )
]
SOFTMAX = [
    case(op, SHAPE, opset=opset, runtime=opset < 13, **attrs)
    for op in ("Softmax", "LogSoftmax")
    for opset, attrs in (
        (11, {}),
        (11, {"axis": 2}),
        (11, {"axis": -2}),
        (13, {}),
        (13, {"axis": 1}),
        (NEWEST, {"axis": 0}),
    )
]

CASES = [*BATCH, *LAYER, *OTHERS, *GROUP, *SOFTMAX]


PER_GROUP = case(
    "GroupNormalization", IMAGE, SCALE[:2], BIAS[:2], num_groups=2, opset=18, runtime=True
)


@pytest.mark.parametrize("dynamic", [(), (0,), (0, 2, 3)])
def test_group_normalization_before_opset_21_scales_groups(dynamic: tuple[int, ...]) -> None:
    # onnx's checker refuses this deprecated form, which runtimes still run: so the model is
    # read as one of opset 21, and is set back to 18 afterwards.
    y, weights, gradient = expected(PER_GROUP)
    e = Emitter(network_of(replace(PER_GROUP, opset=21), dynamic))
    e.opset = 18
    source = e.network.tensors["x0"]
    seed = gs.Variable("seed", source.dtype, list(source.shape))
    dx = differentiate(e, {"y0": seed}, ["x0"])["x0"]
    model = complete(e, {"dx": dx}, [seed])
    model.opset_import[0].version = 18
    feeds = single(feeds_of(PER_GROUP) | {"seed": weights})
    got_y, got = session_of(model).run(["y0", "dx"], feeds)
    assert_close(got_y, y)
    assert_close(got, gradient, 1e-3)


def test_batch_statistics_have_no_derivative() -> None:
    training = case("BatchNormalization", IMAGE, *PARAMETERS, outputs=3, training_mode=1)
    with pytest.raises(UnsupportedOperatorError, match="evaluation mode"):
        append_gradients(model_of(training), of="y0", wrt=["x0"])


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
