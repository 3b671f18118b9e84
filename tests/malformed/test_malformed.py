"""Damaged, contradictory and absurd models: an answer or one clear line, nothing else.

Each is rewritten, explained, checked and given to the command line (`doors`), in a process of its
own that may neither hang nor crash nor take all memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import ANSWERED, BAD, Apart, bad, outcome
from malformed import (  # noqa: F401  (they fill the table)
    arithmetic,
    attributes,
    bodies,
    declared,
    extent,
    outside,
    stored,
    text,
    wiring,
)
from malformed.making import CASES

from onnxcam.errors import OnnxCamError

SECONDS = 60.0


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    process = Apart()
    yield process
    process.close()


@pytest.mark.parametrize("name", CASES)
def test_a_broken_model_is_an_error_that_says_why_or_an_answer(
    name: str, apart: Apart, tmp_path: Path
) -> None:
    case = CASES[name]
    outcomes = apart.ask(case.write(tmp_path), SECONDS)
    assert bad(outcomes) == {}
    complaints = [said for said in outcomes.values() if said != ANSWERED]
    if case.says:
        assert any(re.search(case.says, said) for said in complaints), complaints
    else:
        assert complaints == []


def test_a_folder_and_nothing_at_all(apart: Apart, tmp_path: Path) -> None:
    for path, says in ((tmp_path, "is a folder; give the"), (tmp_path / "none", "no such file")):
        outcomes = apart.ask(path, SECONDS)
        outcomes.pop("rewrite from memory")
        assert bad(outcomes) == {}
        assert all(f"{path}" in said and says in said for said in outcomes.values()), outcomes


def test_a_process_that_hangs_or_dies_is_seen(tmp_path: Path) -> None:
    """What the other tests rely on."""
    path = CASES["self_loop"].write(tmp_path)
    apart = Apart()
    assert bad(apart.ask(path, 0))["process"].startswith("bad: took over 0 s")
    assert bad(apart.ask(path, SECONDS)) == {}
    assert apart.process is not None
    apart.process.terminate()
    assert bad(apart.ask(path, SECONDS)) == {"process": "bad: ended with status -15"}
    apart.close()


def test_a_bare_exception_and_an_unreadable_line_are_seen(tmp_path: Path) -> None:
    def missing(path: Path) -> None:
        raise KeyError("axis")

    def two_lines(path: Path) -> None:
        error = OnnxCamError()
        error.args = ("one\ntwo",)
        raise error

    assert outcome(missing, tmp_path).startswith(f"{BAD}Traceback")
    assert outcome(two_lines, tmp_path) == f"{BAD}no readable line: 'one\\ntwo'"
