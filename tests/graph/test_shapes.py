"""Shapes where exporters left none, or wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from builders import classifier, paddle_like, torch_like
from graphs import Build, weights
from onnx import helper

from onnxcam.graph.axes import matching_axes
from onnxcam.graph.shapes import Facts


def shapes_of(model: onnx.ModelProto) -> dict[str, Any]:
    return {name: info.shape for name, info in Facts(model).tensors.items()}


def test_static_shapes() -> None:
    found = shapes_of(classifier())
    assert found["conv1"] == [1, 6, 8, 8]
    assert found["logits"] == [1, 5]
    assert found["conv1.weight"] == [6, 3, 3, 3]


def test_a_dynamic_batch_keeps_its_symbol() -> None:
    found = shapes_of(classifier(("batch", 3, 16, 16)))
    assert found["features"] == ["batch", 8, 8, 8]
    assert found["logits"] == ["batch", 5]


def test_equal_symbols_are_equal_dimensions() -> None:
    found = shapes_of(classifier(("n", 3, "h", "w")))
    assert found["image"] == ["n", 3, "h", "w"]
    assert found["conv1"][2:] == found["features"][2:]
    n, channels, height, width = found["features"]
    assert (n, channels) == ("n", 8)
    assert isinstance(height, str)
    assert isinstance(width, str)
    assert height != width


@pytest.mark.parametrize("anonymous", ["?", "", "-1", None, "None"])
def test_anonymous_dimensions_are_told_apart(anonymous: str | None) -> None:
    found = shapes_of(classifier((anonymous, 3, anonymous, anonymous)))
    assert len({found["image"][axis] for axis in (0, 2, 3)}) == 3
    assert found["logits"] == [found["image"][0], 5]


def test_a_negative_or_zero_dimension_is_open() -> None:
    model = classifier(("n", 3, 16, 16))
    for value in (-1, 0):
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = value
        assert isinstance(shapes_of(model)["logits"][0], str)


def test_stale_value_info_and_outputs_are_ignored() -> None:
    model = torch_like()
    model.graph.value_info[0].type.tensor_type.shape.dim[1].dim_value = 999
    model.graph.value_info.append(helper.make_tensor_value_info("conv1", 10, [7]))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 77
    found = Facts(model).tensors
    assert found["features"].shape == ["batch", 8, 8, 8]
    assert found["conv1"].shape == ["batch", 6, 8, 8]
    assert found["conv1"].dtype == np.float32
    assert found["logits"].shape == ["batch", 5]


def test_shape_arithmetic_in_front_of_a_reshape() -> None:
    found = shapes_of(paddle_like())
    assert found["flat"] == [found["image"][0], 6]
    assert found["scores"] == [found["image"][0], 5]


def chain() -> onnx.ModelProto:
    """Padding to a multiple of 7 with Shape, Gather, Mod, Sub, Concat and Slice, as Swin traces."""
    b = Build(("n", 3, 16, 16))
    for name, value in (("two", 2), ("three", 3), ("seven", 7), ("zero", 0)):
        b.weight(name, np.array(value))
    b.weight("first", np.array([0]))
    b.weight("zeros", np.array([0, 0, 0, 0, 0, 0]))
    b.weight("stop", np.array([2]))
    b.op("Shape", ["image"], "shape")
    b.op("Gather", ["shape", "two"], "h", axis=0)
    b.op("Mod", ["h", "seven"], "rest")
    b.op("Sub", ["seven", "rest"], "missing")
    b.op("Mod", ["missing", "seven"], "padding")
    b.op("Unsqueeze", ["padding", "first"], "padding1")
    b.op("Concat", ["zeros", "padding1", "padding1"], "pads", axis=0)
    b.op("Pad", ["image", "pads"], "padded")
    b.op("Shape", ["padded"], "shape2")
    b.op("Slice", ["shape2", "first", "stop"], "front")
    b.weight("minus", np.array([-1]))
    b.op("Concat", ["front", "minus"], "target", axis=0)
    b.op("Reshape", ["padded", "target"], "rows")
    b.output("rows", None)
    return b.model()


def test_traced_chains_are_followed() -> None:
    found = Facts(chain())
    assert found.tensors["padded"].shape == ["n", 3, 21, 21]
    assert found.tensors["rows"].shape == ["n", 3, 441]
    np.testing.assert_array_equal(found.values["padding1"], [5])


def test_only_values_that_no_size_changes_are_known() -> None:
    found = Facts(chain()).values
    assert "h" in found
    assert "shape" not in found  # it holds the batch


def test_weights_are_not_taken_for_values() -> None:
    b = Build(("n", 64), name="x")
    b.weight("W", weights(64, 64))
    b.op("MatMul", ["x", "W"], "y")
    b.output("y", ["n", 64])
    facts = Facts(b.model())
    assert "W" not in facts.values
    assert facts.tensors["W"].shape == [64, 64]


@pytest.mark.parametrize(
    ("x", "y", "runs"),
    [
        ([8, 6, 4], [8, 24], [([0], [0]), ([1, 2], [1])]),
        ([8, 24], [8, 6, 4], [([0], [0]), ([1], [1, 2])]),
        (["n", 6, 4], ["n", 24], [([0], [0]), ([1, 2], [1])]),
        ([2, 3], [2, 3], [([0], [0]), ([1], [1])]),
        ([2, 3, 4, 5], [6, 20], [([0, 1], [0]), ([2, 3], [1])]),
        ([None, 6], [None, 6], [([0, 1], [0, 1])]),
        ([], [], []),
    ],
)
def test_matching_axes_of_a_reshape(x: list[Any], y: list[Any], runs: list[Any]) -> None:
    assert matching_axes(x, y) == runs


@pytest.mark.parametrize(
    ("x", "y"),
    [([2, 1, 3], [2, 3]), ([2, 3], [2, 1, 3, 1]), ([1, 1], [1]), ([6], [1, 2, 3]),
     ([4, 6], [8, 3])],
)  # fmt: skip
def test_matching_runs_hold_equally_many_elements(x: list[int], y: list[int]) -> None:
    runs = matching_axes(x, y)
    for a, b in runs:
        assert np.prod([x[k] for k in a]) == np.prod([y[k] for k in b])
    assert [k for a, _ in runs for k in a] == list(range(len(x)))
    assert [k for _, b in runs for k in b] == list(range(len(y)))


def test_sizes_that_do_not_suit_a_model_are_left_out() -> None:
    """Space to depth by Reshape takes even sizes only, and still all is known."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 15]>
        g (float[1, 3, h, w] x) => (float[1, 3, p, 2, q, 2] y)
        <int64[1] two = {2}, int64[1] three = {3}, int64[1] four = {4}, int64[2] front = {1, 3}>
        {
            s = Shape (x)
            height = Slice (s, two, three)
            width = Slice (s, three, four)
            p2 = Div (height, two)
            q2 = Div (width, two)
            to = Concat <axis = 0> (front, p2, two, q2, two)
            y = Reshape (x, to)
        }""")
    shape = shapes_of(model)["y"]
    assert shape[:2] == [1, 3]
    assert shape[3::2] == [2, 2]
    assert isinstance(shape[2], str)
    assert isinstance(shape[4], str)
