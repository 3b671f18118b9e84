"""Gradients of ONNX's own backend tests."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from autodiff.backend_cases import GROUPS, cases_of
from autodiff.backend_nodes import EXCLUDED, unexplained, verdicts_of
from autodiff.comparison import Comparison, Kind

RECORDED_WITH = "1.23."
"""The onnx release whose tests are counted; others have other tests."""

COMPARED = 1351
SYMBOLIC = 1111


LONG = ("attention", "linear_attention", "causal_conv_with_state")
"""Groups of many tests that differ in little; counting all needs them as well."""


@pytest.mark.parametrize(
    "group",
    [pytest.param(group, marks=[pytest.mark.slow] if group in LONG else []) for group in GROUPS],
)
def test_gradients_of_backend_tests(group: str) -> None:
    """Every float input is compared, zero as the differences say, or excluded with a reason."""
    problems = [line for verdict in verdicts_of(group) for line in unexplained(verdict)]
    assert not problems, "\n".join(problems)


@pytest.mark.slow
@pytest.mark.skipif(not onnx.__version__.startswith(RECORDED_WITH), reason="other tests")
def test_as_many_are_compared_as_ever() -> None:
    verdicts = [verdict for group in GROUPS for verdict in verdicts_of(group)]
    assert sum(verdict.kind is Kind.COMPARED for verdict in verdicts) >= COMPARED
    symbolic = [finding for verdict in verdicts for finding in verdict.symbolic]
    assert sum(finding.kind is Kind.COMPARED for finding in symbolic) >= SYMBOLIC


@pytest.mark.slow
@pytest.mark.skipif(not onnx.__version__.startswith(RECORDED_WITH), reason="other tests")
def test_no_exclusion_is_idle() -> None:
    verdicts = [verdict for group in GROUPS for verdict in verdicts_of(group)]
    found = [(verdict, finding) for verdict in verdicts for finding in verdict.findings]
    idle = [e for e in EXCLUDED if not any(e.covers(*each) for each in found)]
    assert not idle, f"delete what excludes nothing any more: {idle}"


@pytest.mark.parametrize("group", ["conv", "gridsample", "matmul", "maxpool", "softmax"])
def test_a_wrong_element_is_noticed(group: str) -> None:
    """A single element of the gradient that is wrong by a quarter of the largest one."""
    for test in cases_of(group):
        target, wrt = next(iter(test.outputs)), next(iter(test.feeds))
        if test.feeds[wrt].dtype != np.float32 or test.outputs[target].dtype != np.float32:
            continue
        comparison = Comparison(test, [wrt], [target])
        assert comparison.findings()[0].kind is Kind.COMPARED, test.name
        right, point = comparison.gradient(wrt)
        assert not comparison.difference(right, wrt, point)
        for index in np.random.default_rng(0).integers(right.size, size=5):
            wrong = right.copy()
            wrong.flat[index] += (np.abs(right).max() or 1.0) / 4
            assert comparison.difference(wrong, wrt, point), f"{test.name}, element {index}"
