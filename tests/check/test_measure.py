"""How a gradient is measured: in which precision, how strictly, beside which ties."""

from __future__ import annotations

import numpy as np
import pytest
from builders import as_float16, classifier, gap_linear
from graphs import SIDE, Build

from onnxcam.check.differences import DOUBLE, HALF, SINGLE, compare
from onnxcam.check.measure import Measured, measure
from onnxcam.check.subject import subject_of


def measured(model, layer=None) -> Measured:
    return measure(subject_of(model, layer, "0-1", None))


def test_float64_finds_an_agreement_that_float32_cannot() -> None:
    found = measured(classifier(), "conv1")
    assert found.precision == "float64"
    assert found.tolerance == DOUBLE.tolerance
    assert max(each.error for each in found.directions) < 1e-5
    assert found.agreement is None


def test_a_reference_that_takes_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.check.measure._PATIENCE", -1.0)
    found = measured(classifier(), "conv1")
    assert (found.precision, found.tolerance) == ("float32", SINGLE.tolerance)
    assert max(each.error for each in found.directions) < SINGLE.tolerance


def test_a_reference_that_disagrees_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.check.measure._first", lambda *_: np.zeros((1, 5)))
    assert measured(classifier(), "conv1").precision == "float32"


def test_a_reference_that_fails_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr("onnxcam.check.measure.evaluator", fails)
    assert measured(classifier(), "conv1").precision == "float32"


def test_half_precision_is_measured_more_leniently() -> None:
    found = measured(as_float16(classifier()))
    assert found.tolerance == HALF.tolerance
    assert max(each.error for each in found.directions) < HALF.tolerance


def test_a_gradient_of_zero_is_compared_too() -> None:
    """All classes have the weight 0: nothing depends on anything, and nothing disagrees."""
    found = measured(gap_linear(np.zeros((2, 3))))
    assert all(each.error == 0 for each in found.directions)


def test_ties_are_measured_beside() -> None:
    """Behind a ReLU most of what is pooled is exactly 0; there the pool has no derivative."""
    b = Build()
    b.conv("image", "conv1", (4, 3, 3, 3))
    b.op("Relu", ["conv1"], "features")
    b.op("MaxPool", ["features"], "pooled", kernel_shape=[4, 4], strides=[4, 4])
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 4 * (SIDE // 4) ** 2, 5)
    b.output("logits", [1, 5])
    found = measured(b.model(), "features")
    assert max(each.error for each in found.directions) < DOUBLE.tolerance


# -- differences ------------------------------------------------------------------------------

AT = np.random.default_rng(3).uniform(0.5, 1.5, (2, 5))


@pytest.mark.parametrize("precision", [DOUBLE, SINGLE], ids=lambda p: p.name)
def test_a_right_gradient_agrees(precision) -> None:
    directions = compare(lambda x: float(np.sum(np.sin(x))), AT, np.cos(AT), precision)
    assert len(directions) == 4
    assert max(each.error for each in directions) < precision.tolerance


@pytest.mark.parametrize("wrong", [1.05 * np.cos(AT), -np.cos(AT), np.cos(AT)[::-1], np.sin(AT)])
def test_a_wrong_gradient_does_not(wrong: np.ndarray) -> None:
    directions = compare(lambda x: float(np.sum(np.sin(x))), AT, wrong, DOUBLE)
    assert max(each.error for each in directions) > 0.02


def test_one_wrong_element_of_many_is_seen_along_the_gradient() -> None:
    at = np.linspace(0.5, 1.5, 400)
    wrong = np.cos(at)
    wrong[17] += 1.0
    directions = compare(lambda x: float(np.sum(np.sin(x))), at, wrong, DOUBLE)
    assert max(each.error for each in directions) > DOUBLE.tolerance


def test_a_rough_function_is_said_to_be_rough() -> None:
    """Steps as of a coarse rounding: no two step sizes agree."""
    directions = compare(
        lambda x: float(np.sum(np.round(x * 50) / 50)), AT, np.ones_like(AT), SINGLE
    )
    assert max(each.roughness for each in directions) > 0.05


def test_a_step_off_what_the_function_is_defined_on_does_not_count() -> None:
    at = np.full(3, 1 - 3e-5)
    gradient = -1 / np.sqrt(1 - at**2)
    with np.errstate(invalid="ignore"):
        directions = compare(lambda x: float(np.sum(np.arccos(x))), at, gradient, DOUBLE)
    assert max(each.error for each in directions) < DOUBLE.tolerance
    assert all(np.isfinite(each.roughness) for each in directions)
