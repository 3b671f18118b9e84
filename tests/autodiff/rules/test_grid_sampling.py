"""Sampling at the points of a grid, with respect to the picture and to the points."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import onnxruntime
import pytest
from autodiff.checks import check_gradient, checks
from autodiff.numeric import NEWEST, Case, Fed, case, feeds_of, model_of, single
from onnx.reference import ReferenceEvaluator
from thinning import slow_but_one_in

from onnxcam.gradients import append_gradients

PADDINGS = ["zeros", "border", "reflection"]


def grid(shape: tuple[int, ...], sizes: tuple[int, ...], aligned: int) -> Fed:
    """Points on and beyond the picture, none of them near a pixel's centre or edge.

    Differences are taken in steps of 0.01: half a step must not cross into the next cell.
    """
    rng = np.random.default_rng(sum(shape) + sum(sizes))
    columns = []
    for size in reversed(sizes):
        at = rng.integers(-3, size + 2, shape) + rng.choice([0.2, 0.3, 0.7, 0.8], shape)
        columns.append(2 * at / (size - 1) - 1 if aligned else (2 * at + 1) / size - 1)
    return Fed(np.stack(columns, -1))


def sampled(
    mode: str, padding: str, aligned: int, opset: int = 20, sizes: tuple[int, ...] = (4, 5), **more
) -> Case:
    """The reference evaluator rounds the points to float32, so the runtime takes differences."""
    points = grid((2, 3, 4)[: 1 + len(sizes)] + (2,) * (len(sizes) - 2), sizes, aligned)
    attrs = {"mode": mode, "padding_mode": padding, "align_corners": aligned, "runtime": True}
    return case("GridSample", (2, 3, *sizes), points, opset=opset, **attrs, **more)


def every_mode() -> Iterator[Case]:
    for wrt in (0, 1):
        for opset, modes in ((16, ["bilinear", "bicubic"]), (NEWEST, ["linear", "cubic"])):
            for mode, padding, aligned in product(modes, PADDINGS, (0, 1)):
                yield sampled(mode, padding, aligned, opset, wrt=wrt)
        for padding, aligned in product(PADDINGS, (0, 1)):
            yield sampled("linear", padding, aligned, sizes=(3, 4, 2), wrt=wrt)
    for opset, padding, aligned in product((16, 20, NEWEST), PADDINGS, (0, 1)):
        yield sampled("nearest", padding, aligned, opset)
    yield sampled("nearest", "border", 0, sizes=(3, 4, 2))


@pytest.mark.parametrize("each", slow_but_one_in(3, ((each,) for each in every_mode())), ids=str)
def test_it_agrees_with_differences(each: Case) -> None:
    check_gradient(each)
    check_gradient(each, (0, 2, 3) if each.wrt == 0 else (0, 1, 2))


SQUARE = np.array([[[1.1, 0.2, 0.1], [-0.2, 0.8, 0.3]], [[0.5, 0.1, 0], [0, -0.6, 0.2]]])
CUBE = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4))
CASES = [
    sampled("linear", "zeros", 0, dynamic=((0,), (0, 2, 3), (3,))),
    sampled("cubic", "reflection", 0, dynamic=((0,), (0, 2, 3))),
    sampled("linear", "border", 1, wrt=1, dynamic=((0,), (0, 1, 2))),
    sampled("cubic", "zeros", 1, wrt=1, dynamic=((0,), (0, 1, 2))),
    sampled("linear", "reflection", 0, sizes=(3, 4, 2), dynamic=((0, 2, 3, 4),)),
    sampled("linear", "reflection", 0, sizes=(3, 4, 2), wrt=1, dynamic=((0, 1, 2, 3),)),
    *(
        case(
            *("AffineGrid", Fed(theta), size),
            align_corners=aligned,
            opset=opset,
            runtime=True,
            dynamic=((0,),),
        )
        for aligned in (0, 1)
        for opset in (20, NEWEST)
        for theta, size in (
            (SQUARE, np.array([2, 3, 4, 5])),
            (CUBE, np.array([2, 3, 2, 3, 4])),
        )
    ),
    case(  # a size that only the run knows
        *("AffineGrid", Fed(SQUARE), Fed(np.array([2, 3, 4, 5]))), opset=20, runtime=True
    ),
]


@checks(CASES, one_in=3)
def test_derivative(check, case: Case) -> None:
    check(case)


@pytest.mark.parametrize("padding", ["zeros", "reflection"])
def test_volumes_are_sampled_cubically_where_a_runtime_can(padding: str) -> None:
    """ONNX Runtime cannot. What is linear in the picture needs no differences.

    At a border the reference evaluator moves cubic points, unlike ONNX Runtime and PyTorch.
    """
    each = sampled("cubic", padding, 0, sizes=(3, 4, 2))
    model = append_gradients(model_of(each), of="y0", wrt=["x0"])
    evaluator, feeds = ReferenceEvaluator(model), single(feeds_of(each))
    y, dx = evaluator.run(None, feeds)
    moved = np.random.default_rng(0).uniform(-1, 1, feeds["x0"].shape).astype(np.float32)
    (change,) = ReferenceEvaluator(model_of(each)).run(None, feeds | {"x0": moved})
    np.testing.assert_allclose((dx * feeds["x0"]).sum(), y.sum(), rtol=1e-4)
    np.testing.assert_allclose((dx * moved).sum(), change.sum(), rtol=1e-4)


def test_threads_that_add_to_one_pixel_lose_nothing() -> None:
    points = Fed(np.random.default_rng(1).uniform(-0.01, 0.01, (1, 128, 128, 2)))
    each = case("GridSample", (1, 64, 8, 8), points, opset=20)
    model = append_gradients(model_of(each), of="y0", wrt=["x0"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    for _ in range(5):
        _, dx = session.run(None, single(feeds_of(each)))
        np.testing.assert_allclose(dx.sum((2, 3)), np.full((1, 64), 128 * 128), rtol=1e-4)
