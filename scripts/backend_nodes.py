"""Say how many of ONNX's backend tests have a gradient that was compared, and why others do not.

Environment: pip install -e '.[test]'
Run from the repository root: python scripts/backend_nodes.py
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from autodiff.backend_cases import GROUPS
from autodiff.backend_nodes import EXCLUDED, Verdict, unexplained, verdicts_of
from autodiff.comparison import Kind


def report(verdicts: list[Verdict]) -> str:
    """The count, by what ran the gradient, and every exclusion with its reason."""
    compared = [v for v in verdicts if v.kind is Kind.COMPARED]
    no_float = sum(v.kind in (Kind.NO_FLOAT, Kind.DOMAIN) for v in verdicts)
    lines = [f"{len(compared)} of {len(verdicts) - no_float} with floats ({len(verdicts)} in all)"]
    lines += ["", "The gradient was run by"]
    lines += _counted(Counter(v.runner for v in compared))
    inputs = [f for v in compared for f in v.findings if f.kind is Kind.COMPARED]
    moved = sum("moved" in f.note or "positive" in f.note for f in inputs)
    symbolic = Counter(f.kind.value for v in verdicts for f in v.symbolic)
    lines += ["", f"{len(inputs)} inputs compared, {moved} of them moved off a kink or into range"]
    lines += _counted(Counter(f.note.split(",")[0] for f in inputs))
    lines += ["", "The same inputs with a symbolic first axis"]
    lines += _counted(symbolic)
    lines += ["", "Tests not compared"]
    left = [v for v in verdicts if v.kind is not Kind.COMPARED]
    lines += _counted(Counter(v.kind.value + (f" ({v.note})" if v.note else "") for v in left))
    lines += ["", "Inputs excluded by hand"]
    for exclusion in EXCLUDED:
        count = sum(exclusion.covers(v, f) for v in verdicts for f in v.findings)
        lines.append(f"{count:6}  {exclusion.tests} / {exclusion.inputs}: {exclusion.reason}")
    lines += ["", "Unexplained", *(line for v in verdicts for line in unexplained(v))]
    return "\n".join(lines)


def _counted(counter: Counter[str]) -> list[str]:
    return [f"{count:6}  {what}" for what, count in counter.most_common()]


if __name__ == "__main__":
    print(report([verdict for group in GROUPS for verdict in verdicts_of(group)]))
