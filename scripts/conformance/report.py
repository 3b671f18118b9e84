"""The page: a matrix a profile, models by runtimes, and every failure in the runtime's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.cases import AS_IT_IS, Case
from conformance.comparison import LEEWAY, TOLERANCE, Outcome

SHORT = 160
"""Characters of a runtime's message that are printed."""


@dataclass(frozen=True)
class Column:
    """One runtime: its version, and what came of every case it was given, by the case's name."""

    name: str
    version: str
    outcomes: Mapping[str, Outcome]


HEAD = f"""# Runtimes

The same rewritten files in every runtime that was at hand, against ONNX Runtime on the CPU: `cam`,
`cam_target` and the model's own outputs, as max |difference| / max |expected|. Passed is what
stays within {TOLERANCE:g}, or within {LEEWAY:g} times what an output moves by itself: in ONNX
Runtime with its optimisations switched off, and with an input off by 1e-5 (float16: by one unit).
Those that need the latter are counted as adrift: a ReLU, a maximum or an 8-bit step flips.
Pictures come in batches of two. Written by `scripts/conformance`.

A cell says how many files passed of those that ran, and the largest difference among them.
"""

NOTES = """## Faults of the runtimes themselves

Rows called *untouched* are converted models that were not rewritten: where a runtime fails there,
the heatmap is not to blame. Of onnx's reference evaluator three things are known: before opset 14
its BatchNormalization mixes in the batch's own statistics, from long rows its GatherElements reads
one index a row, and it has no DequantizeLinear before opset 19. ONNX Runtime's JavaScript packages
and OpenVINO do not see an input that has a default, so `cam_class` cannot be given there: the
former refuse it in a browser and ignore it in Node.js.

The `cpu` profile is for ONNX Runtime, and is here to show what the `portable` one is for: OpenVINO
takes the square weights of a vision transformer for their own transposes, and inputs with a
default cannot be given.
"""


def page(
    cases: Sequence[Case],
    columns: Sequence[Column],
    skipped: Iterable[tuple[str, str]],
    unwritten: Mapping[str, str],
) -> str:
    """The whole page. `unwritten` are cases that did not come to a file, and why."""
    parts = [HEAD, _runtimes(columns, skipped), NOTES]
    for profile in dict.fromkeys(case.profile for case in cases):
        ours = [case for case in cases if case.profile == profile and case.name not in unwritten]
        if ours:
            parts.append(f"## Profile `{profile}`\n\n{_matrix(ours, columns)}")
            parts.append(f"### What fails\n\n{_failures(ours, columns)}")
    if unwritten:
        parts.append(f"## Not rewritten\n\n{_grouped(unwritten)}")
    return "\n".join(parts)


def _runtimes(columns: Sequence[Column], skipped: Iterable[tuple[str, str]]) -> str:
    lines = ["| runtime | version |", "|---|---|"]
    lines += [f"| {column.name} | {column.version} |" for column in columns]
    lines += [f"| {name} | not run: {why} |" for name, why in skipped]
    return "\n".join(lines) + "\n"


def _matrix(cases: Sequence[Case], columns: Sequence[Column]) -> str:
    rows: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        what = case.variant
        if case.form != "raw":
            what = case.form if case.variant == AS_IT_IS else f"{case.variant}, {case.form}"
        rows.setdefault((case.model, what), []).append(case)
    lines = [
        "| model | what | " + " | ".join(column.name for column in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for (model, what), members in rows.items():
        cells = [_cell([c.outcomes.get(case.name) for case in members]) for c in columns]
        lines.append(f"| `{model}` | {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(outcomes: Sequence[Outcome | None]) -> str:
    ran = [each for each in outcomes if each is not None]
    if not ran:
        return "-"
    passed = [each for each in ran if each.passed]
    close = [each.worst for each in passed if not each.adrift]
    worst = f", {max(close):.0e}" if close else ""
    adrift = [each.worst for each in passed if each.adrift]
    drifting = f" ({len(adrift)} adrift, {max(adrift):.0e})" if adrift else ""
    said = f"{len(passed)} of {len(ran)}{worst}{drifting}"
    return said if len(passed) == len(ran) else f"**{said}**"


def _failures(cases: Sequence[Case], columns: Sequence[Column]) -> str:
    parts = []
    for column in columns:
        failures = {
            case.name: column.outcomes[case.name].failure
            for case in cases
            if case.name in column.outcomes and not column.outcomes[case.name].passed
        }
        if failures:
            parts.append(f"{column.name}:\n\n{_grouped(failures)}")
    return "\n".join(parts) or "Nothing.\n"


def _grouped(messages: Mapping[str, str]) -> str:
    """One line a message, with the cases it stands for."""
    by_message: dict[str, list[str]] = {}
    for name, message in messages.items():
        by_message.setdefault(_short(message), []).append(name)
    lines = []
    for message, names in by_message.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"- `{names[0]}`{others}: {message}")
    return "\n".join(lines) + "\n"


def _short(message: str) -> str:
    words = " ".join(message.split()).replace("|", "\\|").replace("`", "'")
    return words if len(words) <= SHORT else words[: SHORT - 3] + "..."
