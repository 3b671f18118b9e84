"""The table of methods against the files that have them."""

from __future__ import annotations

from pathlib import Path

import onnxcam.methods
from onnxcam.methods import methods, registry


def test_every_method_is_in_the_file_that_the_table_says() -> None:
    for method in methods():
        assert method.__module__ == f"onnxcam.methods.{registry._FILE[method.name]}"


def test_every_file_that_registers_a_method_is_in_the_table() -> None:
    folder = Path(onnxcam.methods.__path__[0])
    registering = {
        ".".join(path.relative_to(folder).with_suffix("").parts): path.read_text().count(
            "\n@register\n"
        )
        for path in folder.rglob("*.py")
        if "\n@register\n" in path.read_text()
    }
    assert registering == {file: len(names) for file, names in registry._FILES.items()}
