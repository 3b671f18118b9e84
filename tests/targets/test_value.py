"""A regression's value, and elements of any output or tensor."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from builders import as_float16
from graphs import pictures
from targets.networks import heatmaps, regression, two_heads
from targets.numbers import Numbers

from onnxcam import Explainer
from onnxcam.errors import TargetError
from onnxcam.targets import Value

X = pictures(3)


@pytest.mark.parametrize("squeezed", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_regression(squeezed: bool, sign: int) -> None:
    found = Numbers(regression(squeezed=squeezed), Value(sign=sign), X)
    output = found.answer()["years" if squeezed else "age"]
    np.testing.assert_allclose(found.score[:, 0], sign * output.reshape(-1), rtol=1e-6)
    assert (found.index == 0).all()
    found.require_gradient()
    assert "cam_probability" not in found.answer()


def test_its_map_is_that_of_the_only_class() -> None:
    explainer = Explainer(regression())
    value, only = (explainer.run(X, target=t)["raw"] for t in (Value(), 0))
    np.testing.assert_allclose(value, only, rtol=1e-5, atol=1e-7)
    fall = explainer.run(X, target=Value(sign=-1))["raw"]
    assert (fall.max(axis=(1, 2, 3)) > 0).any()
    assert not np.allclose(fall, value)


@pytest.mark.parametrize(
    ("target", "place", "index"),
    [
        (Value("points", (0, 2, 3)), (0, 2, 3), 19),
        (Value("points", (1, -1, -8)), (1, 7, 0), 120),
        (Value("features", (7, 0, 7)), None, 7 * 64 + 7),
        (Value("points", (1,)), (1,), 0),
        (Value("points", (1,), reduce="sum"), (1,), 0),
        (Value("points", (None, 3)), (slice(None), 3), 0),
        (Value("points"), (), 0),
        (Value(sign=-1, reduce="sum"), (), 0),
    ],
    ids=str,
)
def test_elements_and_means(target: Value, place: tuple[int, ...] | None, index: int) -> None:
    found = Numbers(heatmaps(), target, X)
    if place is not None:
        output = found.answer()["points"][(slice(None), *place)].reshape(len(X), -1)
        expected = output.sum(1) if target.reduce == "sum" else output.mean(1)
        np.testing.assert_allclose(found.score[:, 0], target.sign * expected, rtol=1e-4)
    assert (found.index == index).all()
    found.require_gradient()


def test_another_output() -> None:
    found = Numbers(two_heads(), Value("embedding", (3,)), X)
    np.testing.assert_allclose(found.score[:, 0], found.answer()["embedding"][:, 3], rtol=1e-6)
    found.require_gradient()


@pytest.mark.parametrize("make", [regression, heatmaps])
def test_half_precision(make: object) -> None:
    assert callable(make)
    model: onnx.ModelProto = make()
    single = Numbers(model, Value(), X).gradient
    half = Numbers(as_float16(model), Value(), X.astype(np.float16)).gradient
    np.testing.assert_allclose(half, single, atol=0.02 * np.abs(single).max())


def test_its_names() -> None:
    assert Value("age").label(0, 0, str) == "age"
    assert Value("points", (None, 3), -1).label(0, 0, str) == "-points[:,3]"
    assert Value("points", (), -1, "sum").label(0, 0, str) == "-points sum"
    assert [Value("a").key(0, 0), Value("a", sign=-1).key(0, 0)] == ["a", "fall-of-a"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Value("point"), "'points'"),
        (Value("points", (2, 0, 0)), "0 to 1"),
        (Value("points", (0, -9, 0)), "0 to 7"),
        (Value("points", (0, 0, 0, 0)), "3 axes behind the batch"),
        (Value("conv.weight"), r"outputs: points \['n', 2, 8, 8\]"),
    ],
)
def test_what_is_not_there(target: Value, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        Explainer(heatmaps()).run(X, target=target)


def test_settings_that_mean_nothing() -> None:
    with pytest.raises(TargetError, match="neither 1 nor -1"):
        Value(sign=2)
    with pytest.raises(TargetError, match="'mean' and 'sum'"):
        Value(reduce="max")
