"""ONNX's backend tests as tests of gradients: every float input of every test.

The gradient that onnxcam appends to the test's model is run by ONNX Runtime (its emitted part
behind a reference forward pass, or all of it in onnx's reference evaluator, where ONNX Runtime
cannot run the test's own model) and compared with differences (`autodiff.oracle`), at the test's
own inputs or, where those are on a kink, near them. What cannot be compared is sorted by criteria
that are computed, not listed; the rest stands in `EXCLUDED`, input by input, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from autodiff.backend_cases import BackendTest, cases_of
from autodiff.comparison import Comparison, Finding, Kind
from autodiff.oracle import is_differentiable


@dataclass(frozen=True)
class Verdict:
    """What became of a test. `runner` computed the gradient.

    `symbolic` are the findings with the length of the first axis unknown.
    """

    name: str
    kind: Kind
    findings: tuple[Finding, ...] = ()
    note: str = ""
    runner: str = ""
    symbolic: tuple[Finding, ...] = ()


_OTHER_DOMAINS = ("ai.onnx.ml", "ai.onnx.preview.training")


def examine(test: BackendTest) -> Verdict:
    """Compare the gradient of a test with respect to each of its float inputs."""
    foreign = sorted({n.domain for n in test.model.graph.node} & set(_OTHER_DOMAINS))
    if foreign:
        return Verdict(test.name, Kind.DOMAIN, note=foreign[0])
    sources = [name for name, x in test.feeds.items() if is_differentiable(x) and x.size]
    targets = [name for name, y in test.outputs.items() if is_differentiable(y) and y.size]
    if not sources or not targets:
        missing = "no float input" if not sources else "no float output"
        return Verdict(test.name, Kind.NO_FLOAT, note=missing)
    with np.errstate(all="ignore"):
        comparison = Comparison(test, sources, targets)
        findings = tuple(comparison.findings())
        symbolic = comparison.symbolic()
    findings += tuple(finding for finding in symbolic if finding.kind is Kind.WRONG)
    return Verdict(
        test.name, _overall(findings), findings, runner=comparison.runner, symbolic=tuple(symbolic)
    )


def _overall(findings: Sequence[Finding]) -> Kind:
    kinds = {finding.kind for finding in findings}
    order = (Kind.WRONG, Kind.COMPARED, Kind.REFUSED, Kind.NO_REFERENCE, Kind.ZERO)
    return next(kind for kind in order if kind in kinds)


@cache
def verdicts_of(group: str) -> tuple[Verdict, ...]:
    """What became of the tests of one operator's module, or of one folder."""
    return tuple(examine(test) for test in cases_of(group))


# -- what is not compared ---------------------------------------------------------------------


@dataclass(frozen=True)
class Exclusion:
    """Inputs of tests (regular expressions) that are not compared, what became of them, and why."""

    kind: Kind
    tests: str
    inputs: str
    reason: str

    def covers(self, verdict: Verdict, finding: Finding) -> bool:
        return (
            finding.kind is self.kind
            and re.fullmatch(f"test_({self.tests})", verdict.name) is not None
            and re.fullmatch(self.inputs, finding.wrt) is not None
        )


_REFUSED, _NONE, _WRONG = Kind.REFUSED, Kind.NO_REFERENCE, Kind.WRONG

EXCLUDED = (
    Exclusion(_REFUSED, "mod_.*", "y", "a divisor; only the dividend has a rule"),
    Exclusion(_REFUSED, "(resize|upsample)_.*", "scales|roi", "a size, not a value"),
    Exclusion(_REFUSED, "training_dropout.*", "x", "it drops at random in training mode"),
    Exclusion(_WRONG, "training_dropout.*", "r", "the ratio; x is refused in training mode"),
    Exclusion(
        _REFUSED, "flexattention(?!.*expanded).*", "[QKV]", "only its expansion has derivatives"
    ),
    Exclusion(_REFUSED, "sequence_map_.*", "x.*", "its body runs once for each element"),
    Exclusion(_REFUSED, "loop16_seq_none", "opt_seq_0", "an optional sequence"),
    Exclusion(_REFUSED, "identity_opt", "opt_in_0", "an optional sequence"),
    Exclusion(_REFUSED, "optional_get_element_tensor", ".*", "only the run knows what it holds"),
    Exclusion(_REFUSED, "affine_grid_.*_expanded", "theta", "a shape behind If is unknown"),
    Exclusion(_REFUSED, "linear_attention_.*_expanded", ".*", "shapes behind Scan are unknown"),
    Exclusion(_REFUSED, "loop11", "y", "the shape of what the loop stacks is unknown"),
    Exclusion(_NONE, "bernoulli.*", "x", "drawn at random: no run gives the same again"),
    Exclusion(_NONE, "unique_.*", "X", "equal values: moving one makes more outputs"),
    Exclusion(_NONE, "dynamicquantizelinear_min_adjusted", "x", "rounded to float32 on the way"),
    Exclusion(_WRONG, "dynamicquantizelinear.*", "x", "the scale it computes counts as a constant"),
    Exclusion(_REFUSED, "scan_sum", ".*", "opset 8: onnx's converter leaves Scan as it was"),
)


def unexplained(verdict: Verdict) -> list[str]:
    """The inputs of a test that are neither compared, nor zero, nor excluded."""
    fine = (Kind.COMPARED, Kind.ZERO)
    return [
        f"{verdict.name}, {finding.wrt}: {finding.kind.value}: {finding.note}"
        for finding in verdict.findings
        if finding.kind not in fine and not any(e.covers(verdict, finding) for e in EXCLUDED)
    ]
