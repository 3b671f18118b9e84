"""Rules are imported when an operator is looked up: all of them can be found, and no more are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from onnxcam.autodiff import rules

REGISTERS = re.compile(r"^(@vjp|@elementwise|@lowering|register|zero|refuse)\(", re.MULTILINE)

LOOK_UP = """
import sys
import onnx_graphsurgeon as gs
from onnxcam.autodiff.registry import derivative_of, is_zero, refusal_of
node = gs.Node(op=sys.argv[1], domain=sys.argv[2] or None)
found = (derivative_of(node) is not None, is_zero(node), refusal_of(node) is not None)
last = "onnxcam.autodiff.rules.weight_only"
print(found.index(True) if any(found) else None, last in sys.modules)
"""


def test_every_file_that_registers_a_rule_is_searched() -> None:
    folder = Path(rules.__path__[0])
    registering = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if REGISTERS.search(path.read_text())
    }
    assert sorted(registering) == sorted(rules.FILES)


@pytest.mark.parametrize(
    ("op", "domain", "found"),
    [
        ("Relu", "", "0 False"),
        ("Relu", "ai.onnx", "0 False"),
        ("ArgMax", "", "1 False"),
        ("BitCast", "", "2 False"),
        ("Conv", "", "0 False"),
        ("MatMulNBits", "com.microsoft", "0 True"),
        ("Relu", "nobody", "None True"),
    ],
)
def test_files_are_imported_as_far_as_the_one_that_has_the_operator(
    op: str, domain: str, found: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOOK_UP, op, domain], check=True, capture_output=True, text=True
    )
    assert run.stdout.split("\n")[0] == found
