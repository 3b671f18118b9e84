"""Every command line shown in the README is one that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from onnxcam.cli import main

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
EXAMPLES = [
    line.strip()
    for block in BLOCKS
    for line in block.splitlines()
    if line.strip().startswith("onnxcam ")
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_parses(example: str) -> None:
    words = shlex.split(example, comments=True)[1:]
    main.commands[words[0]].make_context(words[0], words[1:])


def test_there_are_examples() -> None:
    assert EXAMPLES
