"""Convolution and pooling in float64 place their windows as ONNX Runtime does."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from autodiff.numeric import graph_model, session_of
from autodiff.programs import parsed
from onnx import helper

from onnxcam.check.double import evaluator, is_quick


def compare(
    op: str, attrs: dict[str, Any], shape: list[int], stored: dict[str, np.ndarray] | None = None
) -> bool:
    """Whether ONNX Runtime takes it; if so, the results agree."""
    stored = stored or {}
    node = helper.make_node(op, ["x", *stored], ["y"], **attrs)
    model = graph_model([node], {"x": shape}, ["y"], stored, opset=19)
    x = np.random.default_rng(0).normal(size=shape)
    try:
        want = session_of(model).run(["y"], {"x": x.astype(np.float32)})[0]
    except Exception:  # a combination that it refuses
        return False
    (got,) = evaluator(model).run(None, {"x": x})
    assert got.dtype == np.float64
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-5)
    return True


WINDOWS = list(product((1, 2, 3), (1, 2), (0, 1), ([1, 0, 2, 1], [0] * 4)))


@pytest.mark.parametrize(("stride", "dilation", "ceil", "pads"), WINDOWS)
def test_pools(stride: int, dilation: int, ceil: int, pads: list[int]) -> None:
    attrs = {"strides": [stride, stride], "pads": pads, "ceil_mode": ceil}
    attrs |= {"dilations": [dilation, dilation], "kernel_shape": [3, 3]}
    done = 0
    for side in (7, 8, 10):
        done += compare("MaxPool", attrs, [2, 3, side, side])
        for counted in (0, 1):
            more = attrs | {"count_include_pad": counted}
            done += compare("AveragePool", more, [2, 3, side, side])
    assert done >= 6


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "Conv"])
@pytest.mark.parametrize("where", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_by_name(op: str, where: str, stride: int) -> None:
    attrs: dict[str, Any] = {"auto_pad": where, "strides": [stride, stride]}
    stored = None
    if op == "Conv":
        attrs["group"] = 2
        w = np.random.default_rng(1).normal(size=(6, 2, 3, 2)).astype(np.float32)
        stored = {"w": w, "b": np.ones(6, np.float32)}
    else:
        attrs["kernel_shape"] = [3, 2]
    assert compare(op, attrs, [2, 4, 9, 8], stored)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("group", "dilation"), [(1, 1), (2, 2), (4, 1)])
def test_convolutions(rank: int, group: int, dilation: int) -> None:
    w = np.random.default_rng(rank).normal(size=(8, 4 // group, *[3] * rank)).astype(np.float32)
    attrs = {"group": group, "dilations": [dilation] * rank, "pads": [2, 1, 0, 1, 0, 2][: 2 * rank]}
    assert compare("Conv", attrs, [2, 4, *[7] * rank], {"w": w})


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("group", "dilation", "stride"), [(1, 1, 2), (2, 2, 3), (4, 1, 1)])
def test_transposed_convolutions(rank: int, group: int, dilation: int, stride: int) -> None:
    w = np.random.default_rng(rank).normal(size=(4, 6 // 2, *[3] * rank)).astype(np.float32)
    b = np.arange(3 * group, dtype=np.float32)
    attrs: dict[str, Any] = {"group": group, "dilations": [dilation] * rank}
    attrs |= {"strides": [stride] * rank, "pads": [2, 1, 0, 1, 0, 2][: 2 * rank]}
    assert compare("ConvTranspose", attrs, [2, 4, *[5] * rank], {"w": w, "b": b})
    if stride > 1:
        more = attrs | {"output_padding": [1] * rank}
        assert compare("ConvTranspose", more, [2, 4, *[5] * rank], {"w": w, "b": b})


@pytest.mark.parametrize("where", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_transposed_padding_by_name(where: str, stride: int) -> None:
    w = np.random.default_rng(1).normal(size=(4, 3, 3, 2)).astype(np.float32)
    attrs = {"auto_pad": where, "strides": [stride, stride]}
    assert compare("ConvTranspose", attrs, [2, 4, 6, 5], {"w": w})


def test_transposed_to_a_stated_shape() -> None:
    w = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
    attrs = {"output_shape": [10, 9], "strides": [2, 2]}
    assert compare("ConvTranspose", attrs, [2, 4, 5, 5], {"w": w})


def test_no_precision_is_lost_on_the_way() -> None:
    """Weights are widened, so that tiny differences of the input come through."""
    w = np.ones((1, 1, 1, 1), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    reference = evaluator(graph_model([node], {"x": [1, 1, 1, 1]}, ["y"], {"w": w}))
    x = np.ones((1, 1, 1, 1))
    ends = [reference.run(None, {"x": x + h})[0].item() for h in (1e-12, -1e-12)]
    assert ends[0] - ends[1] == pytest.approx(2e-12, rel=1e-3)


@pytest.mark.parametrize(
    ("body", "quick"),
    [
        ("y = Exp(x)", True),
        ("y = com.microsoft.Gelu(x)", False),
        ("s = Shape(x) y = Resize(x, , , s)", False),
        ("t = Transpose(x) y = Transpose(t)", True),
    ],
)
def test_what_is_quick(body: str, quick: bool) -> None:
    model: onnx.ModelProto = parsed(f"g (float[2,3] x) => (float[2,3] y) {{ {body} }}")
    assert is_quick(model) == quick
