"""What the documents say is what the code does."""

from __future__ import annotations

import method_table
import operators as table_script

from onnxcam.methods import methods


def test_the_operator_page_is_the_registry() -> None:
    page = table_script.PAGE.read_text(encoding="utf-8")
    assert table_script.page() == page, "run python scripts/operators.py"


def test_the_method_page_is_the_registry() -> None:
    page = method_table.PAGE.read_text(encoding="utf-8")
    assert method_table.page() == page, "run python scripts/method_table.py"


def test_every_method_is_on_its_page_once() -> None:
    page = method_table.page()
    for method in methods():
        assert page.count(f"| `{method.name}` {method.title} |") == 1
