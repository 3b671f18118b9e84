"""Regions of interest: their mean, their maximum, and the regions themselves."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from autodiff.checks import check_gradient, checks
from autodiff.numeric import Case, Fed, case, feeds_of, model_of, session_of, single
from onnx.reference import ReferenceEvaluator

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

SHAPE = (2, 3, 6, 7)
BATCH = np.array([0, 1, 1, 0, 1])
ROIS = np.array(  # inside, partly outside, within one pixel, around everything, upside down
    [
        [1.1, 2.2, 9.3, 11.1],
        [-6.3, -8.1, 5.2, 4.4],
        [3.1, 3.2, 3.3, 3.6],
        [-0.7, -0.9, 30, 30],
        [8.2, 8.4, 4.1, 4.3],
    ]
)
BINS = (2, 3)


def aligned(
    mode: str, samples: int, coordinates: str | None, opset: int = 16, **more: object
) -> Case:
    """The reference evaluator takes half pixels off before opset 16 too: the runtime is asked."""
    attrs: dict[str, object] = {"mode": mode, "sampling_ratio": samples, "spatial_scale": 0.5}
    attrs |= {"output_height": BINS[0], "output_width": BINS[1]}
    if coordinates:
        attrs["coordinate_transformation_mode"] = coordinates
    inputs = (SHAPE, more.pop("rois", Fed(ROIS)), more.pop("batch", Fed(BATCH)))
    return case("RoiAlign", *inputs, opset=opset, runtime=opset < 16, **attrs, **more)


def smooth_regions(samples: int, offset: float) -> np.ndarray:
    """Random regions none of whose samples is near the centre of a pixel, where slopes jump."""
    rng, found = np.random.default_rng(samples), []
    while len(found) < 3:
        corner, extent = rng.uniform(-1, 5, 2), rng.uniform(3, 9, 2)
        roi = np.concatenate([corner, corner + extent])
        distances = []
        for k, bins in ((0, BINS[1]), (1, BINS[0])):
            start, size = roi[k] * 0.5 - offset, (roi[k + 2] - roi[k]) * 0.5 / bins
            count = samples or int(np.ceil(size))
            at = start + size * (np.arange(bins * count) + 0.5) / count
            distances += [np.abs(at - np.round(at)).min(), abs(size - np.round(size))]
        if min(distances) > 0.01:
            found.append(roi)
    return np.array(found)


def every_mode() -> Iterator[Case]:
    for mode, samples in product(("avg", "max"), (0, 1, 2)):
        for coordinates in ("half_pixel", "output_half_pixel"):
            yield aligned(mode, samples, coordinates)
            regions = Fed(smooth_regions(samples, 0.5 * (coordinates == "half_pixel")))
            yield aligned(mode, samples, coordinates, rois=regions, batch=Fed(BATCH[:3]), wrt=1)
    for opset, samples in product((11, 15), (0, 2)):
        yield aligned("avg", samples, None, opset)


@pytest.mark.parametrize("each", list(every_mode()), ids=str)
def test_it_agrees_with_differences(each: Case) -> None:
    check_gradient(each)
    if each.wrt == 0:
        check_gradient(each, (0, 2, 3))


def pooled(rois: np.ndarray, **more: object) -> Case:
    regions = np.concatenate([BATCH[: len(rois), None], rois], 1)
    inputs = ("MaxRoiPool", SHAPE, Fed(regions))
    return case(*inputs, pooled_shape=list(BINS), spatial_scale=0.5, runtime=True, **more)


CASES = [
    aligned("avg", 2, "half_pixel", dynamic=((0,), (0, 2, 3), (3,))),
    aligned("avg", 0, "output_half_pixel", dynamic=((0,), (0, 2, 3))),
    aligned("max", 2, "half_pixel", dynamic=((0,), (0, 2, 3))),
    aligned("avg", 0, None, 11, dynamic=((0,), (0, 2, 3))),
    aligned(
        "avg", 2, None, rois=Fed(smooth_regions(2, 0.5)), batch=Fed(BATCH[:3]), wrt=1, dynamic=()
    ),
    aligned(
        "max", 2, None, rois=Fed(smooth_regions(2, 0.5)), batch=Fed(BATCH[:3]), wrt=1, dynamic=()
    ),
    pooled(ROIS, dynamic=((0,), (0, 2, 3))),
    pooled(ROIS[[1, 3]] * 1.7 - 3, opset=16),
    pooled(np.array([[40.0, 40, 50, 50], [0, 0, 1, 1]])),  # one of them off the picture
]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)


@pytest.mark.parametrize("each", [aligned("max", 2, None, 15), pooled(ROIS, opset=15)], ids=str)
def test_maxima_are_refused_before_scattered_sums_exist(each: Case) -> None:
    with pytest.raises(UnsupportedOperatorError, match=f"{each.op}.*newer opset"):
        append_gradients(model_of(each), of="y0", wrt=["x0"])


def test_opset_22_is_opset_16() -> None:
    """ONNX Runtime has no kernel of opset 22; the reference evaluator has."""
    old, new = (
        append_gradients(model_of(aligned("avg", 2, None, opset)), of="y0", wrt=["x0"])
        for opset in (16, 22)
    )
    feeds = single(feeds_of(aligned("avg", 2, None)))
    _, want = session_of(old).run(None, feeds)
    _, got = ReferenceEvaluator(new).run(None, feeds)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("wrt", ["x0", "x1"])
def test_the_number_of_regions_may_vary(mode: str, samples: int, wrt: str) -> None:
    regions = smooth_regions(samples, 0.5)
    each = aligned(mode, samples, None, rois=Fed(regions), batch=Fed(BATCH[:3]))
    model = model_of(each)
    fixed = session_of(append_gradients(model, of="y0", wrt=[wrt]))
    for value in (*model.graph.input[1:], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "regions"
    varying = session_of(append_gradients(model, of="y0", wrt=[wrt]))
    feeds = single(feeds_of(each))
    _, want = fixed.run(None, feeds)
    np.testing.assert_allclose(varying.run(None, feeds)[1], want, rtol=1e-5, atol=1e-5)
    fewer = feeds | {"x1": feeds["x1"][:1], "x2": feeds["x2"][:1]}
    _, part = varying.run(None, fewer)
    if wrt == "x1":  # a region's slope does not depend on the others
        np.testing.assert_allclose(part, want[:1], rtol=1e-5, atol=1e-5)
    assert np.abs(part).max() > 0
