"""The page says what passed, what failed and what was not run."""

from __future__ import annotations

from pathlib import Path

from conformance.cases import Case
from conformance.comparison import Outcome
from conformance.report import Column, page

CASES = [
    Case(Path("a.onnx"), "as it is", method, "last", profile)
    for profile in ("cpu", "portable")
    for method in ("gradcam", "layercam")
]
FIRST, SECOND, THIRD, FOURTH = (case.name for case in CASES)


def _page(**outcomes: Outcome) -> str:
    return page(CASES, [Column("Runner", "runner 2.0", outcomes)], [("Other", "no --other")], {})


def test_a_cell_counts_and_gives_the_worst_that_passed() -> None:
    made = _page(**{FIRST: Outcome(1e-7), SECOND: Outcome(3e-6), THIRD: Outcome(0.0)})

    assert "| `a` | as it is | 2 of 2, 3e-06 |" in made
    assert "| Runner | runner 2.0 |" in made
    assert "| Other | not run: no --other |" in made
    assert made.count("Nothing.") == 2


def test_what_is_adrift_is_counted_apart() -> None:
    made = _page(**{FIRST: Outcome(1e-7), SECOND: Outcome(0.04, adrift=True)})

    assert "| `a` | as it is | 2 of 2, 1e-07 (1 adrift, 4e-02) |" in made


def test_failures_are_in_bold_and_said_once_a_message() -> None:
    bad = Outcome(float("inf"), "no kernel | for\nCol2Im")
    made = _page(**{FIRST: bad, SECOND: bad, THIRD: Outcome(0.0), FOURTH: Outcome(1.0, "cam off")})

    assert "| `a` | as it is | **0 of 2** |" in made
    assert "| `a` | as it is | **1 of 2, 0e+00** |" in made
    assert f"- `{FIRST}` and 1 more: no kernel \\| for Col2Im" in made
    assert f"- `{FOURTH}`: cam off" in made


def test_long_messages_are_cut() -> None:
    made = _page(**{FIRST: Outcome(float("inf"), "x" * 1000)})

    assert "x" * 157 + "..." in made
    assert "x" * 158 not in made


def test_what_a_runtime_was_not_given_is_a_dash() -> None:
    assert "| `a` | as it is | - |" in _page(**{FIRST: Outcome(0.0), SECOND: Outcome(0.0)})


def test_files_that_were_not_made_are_listed() -> None:
    made = page(CASES, [Column("Runner", "1", {})], [], {FIRST: "ModelError: Loop"})

    assert f"- `{FIRST}`: ModelError: Loop" in made
