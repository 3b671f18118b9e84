"""Write docs/operators.md from the registry of derivatives.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/operators.py
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from onnxcam.autodiff.table import Operator, operator_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "operators.md"
DOMAINS = {
    "": "ai.onnx, the standard",
    "com.microsoft": "com.microsoft, what ONNX Runtime writes",
}


def page() -> str:
    """The whole page, as Markdown."""
    table = operator_table()
    count = Counter(row.how for row in table)
    ruled = count["rule"] + count["lowering"] + count["control flow"]
    text = (
        "# Operators\n\n"
        "Written by `python scripts/operators.py` from the registry; `onnxcam ops` prints the "
        "same.\n\n"
        f"{ruled} operators have a derivative, that of {count['zero']} is zero, and "
        f"{count['refused']} are refused. A *rule* emits the derivative itself; a *lowering* "
        "spells the operator out in simpler ones, whose rules are used. Where an operator rounds "
        "to integers, rounding counts as the identity and saturation as a `Clip` (the "
        "straight-through estimator).\n"
    )
    for domain in dict.fromkeys(row.domain for row in table):
        text += f"\n## {DOMAINS.get(domain, domain)}\n\n"
        text += "| operator | how | with respect to | note |\n|---|---|---|---|\n"
        text += "".join(_row(row) for row in table if row.domain == domain)
    return text


def _row(row: Operator) -> str:
    return f"| `{row.op}` | {row.how} | {', '.join(row.wrt)} | {row.note} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
