"""Write the operator table of docs/how-it-works.md from the registry of rules.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/operators.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnxcam.autodiff  # noqa: F401  (fills the registry)
from onnxcam.autodiff.registry import operators, zero_operators

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-it-works.md"
BEGIN, END = "<!-- operators -->", "<!-- /operators -->"


def table() -> str:
    """The operators with a rule, and those whose derivative is zero, as Markdown."""
    ruled = ", ".join(f"`{name}`" for name in _names(operators()))
    zero = ", ".join(f"`{name}`" for name in _names(zero_operators()))
    return (
        f"With a derivative ({len(operators())}): {ruled}.\n\n"
        f"Whose derivative is zero, so that nothing flows through ({len(zero_operators())}): "
        f"{zero}."
    )


def _names(keys: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{domain}.{op}" if domain else op for domain, op in keys]


def with_table(page: str) -> str:
    """The page with its operator table renewed."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
