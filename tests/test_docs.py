"""What the documents say is what the code does."""

from __future__ import annotations

import operators as table_script


def test_the_operator_page_is_the_registry() -> None:
    page = table_script.PAGE.read_text(encoding="utf-8")
    assert table_script.page() == page, "run python scripts/operators.py"
