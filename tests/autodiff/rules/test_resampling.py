"""Resizing, in the coordinates that each opset knows, along known and unknown lengths."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import onnx
import pytest
from autodiff.checks import check_linear, checks
from autodiff.numeric import NEWEST, Case, Fed, case, model_of, session_of

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

SHAPE = (2, 2, 4, 5)
UNITS = 2 * 4 * 5
"""The batch in which a linear operator's matrix is read off: one unit an input value."""
CROP = np.array([0, 0, 0.1, 0.2, 1, 1, 0.8, 1.3], np.float32)


def resized(shape: tuple[int, ...], by: list[float], opset: int = 18, **attrs: object) -> Case:
    """By scales."""
    region = np.zeros(0, np.float32) if opset < 13 else None
    scales = np.array(by, np.float32)
    return case("Resize", shape, region, scales, opset=opset, runtime=True, **attrs)


def fitted(shape: tuple[int, ...], to: list[int], opset: int = 18, **attrs: object) -> Case:
    """To sizes."""
    empty = np.zeros(0, np.float32) if opset < 13 else None
    sizes = np.array(to, dtype=np.int64)
    return case("Resize", shape, empty, empty, sizes, opset=opset, runtime=True, **attrs)


def cropped(shape: tuple[int, ...], to: list[int], opset: int = 18, **attrs: object) -> Case:
    """A region to sizes."""
    empty, sizes = np.zeros(0, np.float32), np.array(to, dtype=np.int64)
    attrs["coordinate_transformation_mode"] = "tf_crop_and_resize"
    region = CROP[[a + k for k in (0, 4) for a in attrs.get("axes", range(4))]]
    scales = empty if opset < 13 else None
    inputs = (shape, region, scales, sizes)
    return case("Resize", *inputs, opset=opset, runtime=True, extrapolation_value=0.0, **attrs)


# -- what it is the transpose of --------------------------------------------------------------

NEAREST = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
MODES: list[dict[str, object]] = [
    *({"mode": "nearest", "nearest_mode": rounding} for rounding in NEAREST),
    {"mode": "linear"},
    {"mode": "cubic"},
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]
ANTIALIASED: list[dict[str, object]] = [
    {"mode": "linear", "antialias": 1},
    {"mode": "cubic", "antialias": 1},
    {"mode": "cubic", "antialias": 1, "exclude_outside": 1},
]
COORDINATES = {
    11: ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"],
    13: ["half_pixel", "tf_half_pixel_for_nn"],
    18: ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"],
    NEWEST: ["half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric"],
}


def every_mode() -> Iterator[Case]:
    for opset, coordinates in COORDINATES.items():
        modes = [*MODES, *(ANTIALIASED if opset >= 18 else [])]
        for mode, system in product(modes, coordinates):
            attrs = dict(mode, coordinate_transformation_mode=system)
            yield resized(SHAPE, [1, 1, 2, 3], opset, **attrs)
            yield resized(SHAPE, [1, 1, 0.6, 1.5], opset, **attrs)
            yield resized(SHAPE, [1, 1, 1.1, 2], opset, **attrs)  # a length that stays, moved
            yield fitted(SHAPE, [UNITS, 2, 7, 3], opset, **attrs)
        for mode in modes:
            yield cropped(SHAPE, [UNITS, 2, 6, 4], opset, **mode)
            yield cropped(SHAPE, [UNITS, 2, 4, 7], opset, **mode)  # a length that stays, cropped


OTHERS = [
    resized(SHAPE, [1, 1, 1.1, 1]),  # no length changes: a copy
    resized(SHAPE, [2, 3], mode="linear", axes=[2, 3]),
    fitted(SHAPE, [6, 3], mode="linear", axes=[3, 2]),
    cropped(SHAPE, [6, 3], mode="linear", axes=[3, 2]),
    resized((2, 2, 5), [1, 1, 2], mode="linear"),
    resized((2, 2, 5), [1, 1, 2]),
    resized((1, 1, 3, 2, 3), [1, 1, 2, 2, 1.5], mode="nearest"),
    resized((1, 1, 3, 2, 3), [1, 1, 2, 2, 1.5], mode="linear"),
    resized((1, 3, 4, 2), [1, 2, 2, 1]),
    resized((1, 3, 4, 2), [1, 2, 1.5, 1], mode="linear"),
]
RATIOS = [
    fitted(shape, to, opset, keep_aspect_ratio_policy=policy, axes=axes, **mode)
    for mode in ({"mode": "linear"}, {"mode": "cubic"}, {"mode": "nearest"})
    for policy in ("not_larger", "not_smaller")
    for opset in (18, NEWEST)
    for shape, to, axes in (
        (SHAPE, [9, 8], [2, 3]),
        (SHAPE, [3, 4], [3, 2]),
        ((1, 2, 6, 3), [4, 4], [2, 3]),
    )
]


@pytest.mark.parametrize("each", [*every_mode(), *OTHERS, *RATIOS], ids=str)
def test_it_is_the_transpose(each: Case) -> None:
    check_linear(each, exact=False)


def unknown_lengths() -> Iterator[Case]:
    for mode in [*MODES, *ANTIALIASED]:
        yield resized(SHAPE, [1, 1, 2, 3], **mode)
        yield resized(SHAPE, [0.6, 1.5], axes=[3, 2], **mode)
        yield fitted(SHAPE, [UNITS, 2, 7, 5], **mode)
        yield cropped(SHAPE, [7, 5], axes=[2, 3], **mode)
    yield resized(SHAPE, [1, 1, 2, 3], 11, mode="linear")
    yield fitted(SHAPE, [UNITS, 2, 7, 5], 11, mode="linear")
    yield resized((1, 3, 4, 2), [1, 2, 1.5, 1], mode="linear")
    yield resized((1, 1, 3, 2, 3), [1, 1, 2, 2, 1.5], mode="linear")


@pytest.mark.parametrize("each", list(unknown_lengths()), ids=str)
def test_it_is_the_transpose_along_unknown_lengths(each: Case) -> None:
    check_linear(each, tuple(range(2, len(each.inputs[0]))), exact=False)


# -- differences, several targets, lazy cotangents --------------------------------------------

AMOUNTS = Fed(np.array([1, 1, 1.5, 2], np.float32))
CASES = [
    *(
        resized(SHAPE, [1, 1, 2, 2], 13, dynamic=((0,),), **mode)
        for mode in (MODES[0], MODES[4], MODES[5])
    ),
    resized(SHAPE, [1, 1, 2, 3], dynamic=((0,), (0, 2, 3), (2,))),
    resized(SHAPE, [1, 1, 2, 3], mode="linear", dynamic=((0,), (0, 2, 3), (2,))),
    resized(SHAPE, [2, 2], NEWEST, axes=[3, 2], dynamic=((0, 2, 3),)),
    resized((2, 4, 5, 3), [1, 2, 2, 1], dynamic=((0,), (0, 1, 2))),
    resized((2, 4, 5, 3), [1, 2, 1.5, 1], mode="linear", dynamic=((0,), (0, 1, 2))),
    resized((2, 2, 5), [1, 1, 2], dynamic=((0, 2),)),
    fitted(SHAPE, [7, 3], axes=[2, 3], mode="linear", dynamic=((0,), (0, 2, 3))),
    fitted(SHAPE, [7, 3], axes=[2, 3], mode="cubic", dynamic=((0,), (0, 2, 3))),
    cropped(SHAPE, [7, 5], axes=[2, 3], mode="linear", dynamic=((0,), (0, 2, 3))),
    fitted(SHAPE, [9, 8], axes=[2, 3], mode="linear", keep_aspect_ratio_policy="not_larger"),
    # what only the run knows: scales, sizes, and the region of a crop
    case("Resize", SHAPE, None, AMOUNTS, mode="linear", runtime=True, dynamic=((0, 2, 3),)),
    case(
        "Resize",
        *(SHAPE, None, None, Fed(np.array([7, 3]))),
        mode="linear",
        axes=[2, 3],
        runtime=True,
        dynamic=((0,), (0, 2, 3)),
    ),
    case(
        "Resize",
        *(SHAPE, Fed(CROP), None, np.array([2, 2, 7, 5])),
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
        runtime=True,
        dynamic=((2, 3),),
    ),
]


@checks(CASES, one_in=3)
def test_derivative(check, case: Case) -> None:
    check(case)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("op", "opset"), [("Upsample", 7), ("Upsample", 9), ("Resize", 10)])
@pytest.mark.parametrize(
    "by", [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.6, 1.5], [1.0, 1.0, 0.5, 0.4]], ids=str
)
def test_before_opset_11_coordinates_were_others(
    op: str, opset: int, mode: str, by: tuple[float, ...]
) -> None:
    if op == "Upsample" and min(by) < 1:
        pytest.skip("it only makes larger")
    old = before_opset_11(op, opset, by, mode)
    units = np.eye(UNITS, dtype=np.float32).reshape(UNITS, 2, 4, 5)
    (columns,) = session_of(old).run(None, {"x": units})
    model = append_gradients(old, of="y", wrt=["x"])
    y, dx = session_of(model).run(None, {"x": units})
    np.testing.assert_array_equal(y, columns)
    want = np.broadcast_to(columns.sum((1, 2, 3)).reshape(2, 4, 5), units.shape)
    np.testing.assert_allclose(dx, want, rtol=1e-5, atol=1e-5)


def before_opset_11(op: str, opset: int, by: tuple[float, ...], mode: str) -> onnx.ModelProto:
    """A model of one operator whose scales were once an attribute."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    scales = onnx.numpy_helper.from_array(np.array(by, np.float32), "scales")
    told = {"scales": list(by)} if opset < 9 else {}
    node = helper.make_node(op, ["x"] if told else ["x", "scales"], ["y"], mode=mode, **told)
    graph = helper.make_graph(
        [node],
        "old",
        [helper.make_tensor_value_info("x", kind, [UNITS, 2, 4, 5])],
        [helper.make_tensor_value_info("y", kind, [None] * 4)],
        [] if told else [scales],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)


def test_an_aspect_ratio_that_only_the_run_knows_is_refused() -> None:
    attrs = {"axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"}
    model = model_of(fitted(SHAPE, [8, 8], **attrs), dynamic=(2, 3))
    with pytest.raises(UnsupportedOperatorError, match=r"Resize.*fix the model's input size"):
        append_gradients(model, of="y0", wrt=["x0"])
