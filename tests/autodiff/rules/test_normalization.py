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
    network_of,
    session_of,
    single,
)

from onnxcam.autodiff import differentiate
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

CHANNELS = (SHAPE[1],)
PARAMETERS_OF_BATCH = [
    case("BatchNormalization", IMAGE, *inputs, wrt=wrt, low=0.2, dynamic=())
    for wrt in (1, 2, 3, 4)
    for inputs in ([CHANNELS if k == wrt else each for k, each in enumerate(PARAMETERS, 1)],)
]
TRAINING = [
    case(
        "BatchNormalization",
        shape,
        *([CHANNELS if k == wrt else each for k, each in enumerate(PARAMETERS, 1)]),
        wrt=wrt,
        of=of,
        outputs=3 if opset >= 14 else 5,
        opset=opset,
        dynamic=((0,), (0, *range(2, len(shape)))) if wrt == 0 else (),
        runtime=True,
        **({"training_mode": 1} if opset >= 14 else {}),
        **attrs,
    )
    for shape, opset, wrt, of, attrs in (
        (IMAGE, 18, 0, 0, {}),
        (IMAGE, 18, 0, 1, {"momentum": 0.3}),
        (IMAGE, NEWEST, 0, 2, {"momentum": 0.3}),
        ((4, 4), 15, 0, 0, {"epsilon": 0.1}),
        (IMAGE, 18, 1, 0, {}),
        (IMAGE, 18, 2, 0, {}),
        (IMAGE, 18, 3, 1, {"momentum": 0.6}),
        (IMAGE, 18, 4, 2, {"momentum": 0.6}),
        (IMAGE, 13, 0, 0, {}),
        (SHAPE, 11, 0, 0, {}),
    )
]
PARAMETERS_OF_LAYER = [
    case(op, SHAPE, *parameters, wrt=wrt, opset=23, dynamic=(), **attrs)
    for op, attrs, parameters, wrt in (
        ("LayerNormalization", {}, ((3,), np.ones(3)), 1),
        ("LayerNormalization", {"axis": 1}, ((4, 3), np.ones((4, 3))), 1),
        ("LayerNormalization", {}, (np.ones(3), (3,)), 2),
        ("LayerNormalization", {"axis": 1}, (np.ones((4, 3)), (4, 3)), 2),
        ("RMSNormalization", {}, ((3,),), 1),
        ("RMSNormalization", {"axis": -2}, ((4, 3),), 1),
    )
]
STATISTICS = [
    case("LayerNormalization", SHAPE, scale, outputs=3, of=of, axis=axis, dynamic=((0,), (0, 1, 2)))
    for axis, scale in ((-1, np.array([0.5, -1.5, 2.0])), (1, np.ones((4, 3))))
    for of in (0, 1, 2)
    if axis == -1 or of  # a run-time length of the scale's axes is no broadcast
]
PARAMETERS_OF_CHANNELS = [
    case(
        op,
        IMAGE,
        *(CHANNELS if k == wrt else each for k, each in enumerate((SCALE, BIAS), 1)),
        wrt=wrt,
        opset=21,
        runtime=True,
        dynamic=(),
        **attrs,
    )
    for op, attrs in (
        ("InstanceNormalization", {}),
        ("GroupNormalization", {"num_groups": 2}),
        ("GroupNormalization", {"num_groups": 4, "epsilon": 0.1}),
    )
    for wrt in (1, 2)
]

CASES = [
    *BATCH,
    *PARAMETERS_OF_BATCH,
    *TRAINING,
    *LAYER,
    *PARAMETERS_OF_LAYER,
    *STATISTICS,
    *PARAMETERS_OF_CHANNELS,
    *OTHERS,
    *GROUP,
    *SOFTMAX,
]


PER_GROUP = [
    case(
        "GroupNormalization",
        IMAGE,
        *((2,) if k == wrt else each[:2] for k, each in enumerate((SCALE, BIAS), 1)),
        num_groups=2,
        wrt=wrt,
        opset=18,
        runtime=True,
        dynamic=((0,), (0, 2, 3)) if wrt == 0 else (),
    )
    for wrt in (0, 1, 2)
]


@pytest.mark.parametrize(
    ("each", "dynamic"), [(each, axes) for each in PER_GROUP for axes in ((), *each.dynamic)]
)
def test_group_normalization_before_opset_21_scales_groups(
    each: Case, dynamic: tuple[int, ...]
) -> None:
    # onnx's checker refuses this deprecated form, which runtimes still run: so the model is
    # read as one of opset 21, and is set back to 18 afterwards.
    y, weights, gradient = expected(each)
    e = Emitter(network_of(replace(each, opset=21), dynamic))
    e.opset = 18
    target, source = e.network.tensors["y0"], e.network.tensors[each.x]
    seed = gs.Variable("seed", source.dtype, list(target.shape))
    dx = differentiate(e, {"y0": seed}, [each.x])[each.x]
    model = complete(e, {"dx": dx}, [seed])
    model.opset_import[0].version = 18
    feeds = single(feeds_of(each) | {"seed": weights})
    got_y, got = session_of(model).run(["y0", "dx"], feeds)
    assert_close(got_y, y)
    assert_close(got, gradient, 1e-3)


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
