"""Gradients of ONNX's own backend tests."""

from __future__ import annotations

import onnx
import pytest
from autodiff.backend_cases import GROUPS
from autodiff.backend_nodes import EXCLUDED, unexplained, verdicts_of
from autodiff.comparison import Kind

RECORDED_WITH = "1.23."
"""The onnx release whose tests are counted; others have other tests."""

COMPARED = 1338
SYMBOLIC = 1100


@pytest.mark.parametrize("group", GROUPS)
def test_gradients_of_backend_tests(group: str) -> None:
    """Every float input is compared, zero as the differences say, or excluded with a reason."""
    problems = [line for verdict in verdicts_of(group) for line in unexplained(verdict)]
    assert not problems, "\n".join(problems)


@pytest.mark.skipif(not onnx.__version__.startswith(RECORDED_WITH), reason="other tests")
def test_as_many_are_compared_as_ever() -> None:
    verdicts = [verdict for group in GROUPS for verdict in verdicts_of(group)]
    assert sum(verdict.kind is Kind.COMPARED for verdict in verdicts) >= COMPARED
    symbolic = [finding for verdict in verdicts for finding in verdict.symbolic]
    assert sum(finding.kind is Kind.COMPARED for finding in symbolic) >= SYMBOLIC


@pytest.mark.skipif(not onnx.__version__.startswith(RECORDED_WITH), reason="other tests")
def test_no_exclusion_is_idle() -> None:
    verdicts = [verdict for group in GROUPS for verdict in verdicts_of(group)]
    for exclusion in EXCLUDED:
        assert any(exclusion.covers(v, finding) for v in verdicts for finding in v.findings), (
            f"nothing is excluded any more by {exclusion}; delete it"
        )
