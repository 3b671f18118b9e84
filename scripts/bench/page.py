"""BENCHMARKS.md, from what was measured."""

from __future__ import annotations

import datetime
import math
import os
import platform
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.environments import BASE, CONTESTANTS, OWN, Environments
from bench.measure import Measured
from bench.pictures import COUNT
from bench.results import Key, key
from bench.tables import TABLES, Row, Table

Found = Mapping[str, Measured]
Rows = Sequence[tuple[Row, Found]]
Cell = Callable[[Measured, Found], str]

HEAD = """# Benchmarks

onnxcam beside its neighbours on the same networks, inputs and threads, measured by one command,
`python -m bench` in `scripts/` (see [its page](scripts/bench/README.md)).

Weights are drawn (EfficientNet-Lite0's are pretrained); the file is the module's export by
PyTorch's TorchScript exporter at opset 17, which every library here reads. All do a task in turns,
the order turned round every time; a round is the median of a few runs, and the page shows the
median of the rounds with their quartiles. onnxcam is the rewritten file in ONNX Runtime, giving raw
maps; pytorch-grad-cam is its call, which also enlarges the map to the picture. The last column is
the largest difference of the others' maps from onnxcam's, all scaled to [0, 1].
"""


def page(
    results: Mapping[Key, Found], environments: Environments, threads: int, device: str
) -> str:
    parts = [HEAD, _machine(threads, device), _versions(results, environments)]
    measured = [(table, _rows(table, results)) for table in TABLES]
    sections = [(table, rows) for table, rows in measured if rows]
    parts.append(_summary(sections))
    parts += [_section(table, rows) for table, rows in sections]
    return "\n".join(parts)


def _rows(table: Table, results: Mapping[Key, Found]) -> Rows:
    return [(row, results[key(table, row)]) for row in table.rows if key(table, row) in results]


def _summary(sections: Sequence[tuple[Table, Rows]]) -> str:
    """Of every table the least and greatest median: ours in the first's, everyone's in ours."""
    packages = dict.fromkeys(
        CONTESTANTS[name].title for name in CONTESTANTS if name not in (*BASE, *OWN)
    )
    head = ["", "onnxcam, of the prediction", *packages]
    lines = [_line(head), _line(["---"] * len(head))]
    for table, rows in sections:
        if table.unit == "memory":
            continue
        ours: list[float] = []
        others: dict[str, list[float]] = {title: [] for title in packages}
        for _, found in rows:
            ours += _medians(_own(found), _base(found))
            for name, measured in found.items():
                if name not in (*BASE, *OWN):
                    others[CONTESTANTS[name].title] += _medians(measured, _own(found))
        cells = [table.title, _range(ours), *(_range(each, "x") for each in others.values())]
        lines.append(_line(cells))
    text = (
        "The least and the greatest of each table's rows, by time: onnxcam in multiples of the "
        "bare model or script, everyone else in multiples of onnxcam."
    )
    return "\n".join(["## In short", "", text, "", *lines, ""])


def _medians(one: Measured | None, other: Measured | None) -> list[float]:
    if one is None or other is None or not one.seconds or not other.seconds:
        return []
    return [statistics.median(_ratios(one, other))]


def _range(ratios: list[float], unit: str = "") -> str:
    if not ratios:
        return ""
    ends = dict.fromkeys((_short(min(ratios)), _short(max(ratios))))
    return f"{' to '.join(ends)}{unit}"


def _machine(threads: int, device: str) -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    name = cpu[1] if cpu else platform.processor()
    size = f", {int(memory[1]) / 2**20:.0f} GB" if memory else ""
    on = "" if device == "cpu" else f" on {device}"
    today = datetime.date.today().isoformat()
    return (
        f"{today}. {name}, {os.cpu_count()} cores{size}; {threads} threads{on}; "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}.\n"
    )


def _versions(results: Mapping[Key, Found], environments: Environments) -> str:
    seen = {name for found in results.values() for name in found}
    packages = {CONTESTANTS[name].package: name for name in CONTESTANTS if name in seen}
    told = [f"{package} {environments.version(name)}" for package, name in packages.items()]
    return f"Versions: {', '.join(told)}.\n"


def _section(table: Table, rows: Rows) -> str:
    names = [name for name in CONTESTANTS if any(name in row.names for row, _ in rows)]
    compared = any(m.difference is not None for _, found in rows for m in found.values())
    batches = len({row.batch for row, _ in rows}) > 1 and table.name != "batch"
    titles = [*(["batch"] if batches else []), *(CONTESTANTS[name].title for name in names)]
    head = ["", *titles, *(["difference"] if compared else [])]
    lines = [_line(head), _line(["---"] * len(head))]
    reasons: dict[str, str] = {}
    for row, found in rows:
        cells = [row.title, *([str(row.batch)] if batches else [])]
        for name in names:
            cells.append(_cell(table, name, found, reasons))
        if compared:
            differences = (m.difference for m in found.values())
            apart = [one for one in differences if one is not None and math.isfinite(one)]
            cells.append(f"{max(apart):.0e}" if apart else "")
        lines.append(_line(cells))
    notes = [f"{mark} {reason}" for reason, mark in reasons.items()]
    text = f"{table.text} {UNITS[table.unit][1]}"
    return "\n".join([f"## {table.title}", "", text, "", *lines, "", *_spaced(notes)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spaced(notes: list[str]) -> list[str]:
    return [line for note in notes for line in (note, "")]


def _cell(table: Table, name: str, found: Found, reasons: dict[str, str]) -> str:
    if name not in found:
        return ""
    measured = found[name]
    if measured.failed:
        reason = f"{CONTESTANTS[name].title}: {measured.failed}"
        return f"- {reasons.setdefault(reason, f'[{len(reasons) + 1}]')}"
    text = UNITS[table.unit][0](measured, found)
    return f"**{text}**" if name in OWN else text


def _base(found: Found) -> Measured | None:
    return next((found[name] for name in BASE if name in found), None)


def _own(found: Found) -> Measured | None:
    return next((found[name] for name in OWN if name in found), None)


def _ratios(one: Measured, other: Measured) -> list[float]:
    """Round by round; whoever ran only once is set against the other's median."""
    if len(one.seconds) != len(other.seconds):
        return [statistics.median(one.seconds) / statistics.median(other.seconds)]
    return [a / b for a, b in zip(one.seconds, other.seconds, strict=True)]


def _spread(ratios: list[float]) -> str:
    middle = _short(statistics.median(ratios))
    if len(ratios) < 3:
        return middle
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{middle} ({_short(low)}-{_short(high)})"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 9.95 else f"{value:.0f}"


def _seconds(measured: Measured) -> str:
    middle = statistics.median(measured.seconds)
    return f"{middle * 1e3:.1f} ms" if middle < 1 else f"{middle:.2f} s"


def _ratio(measured: Measured, found: Found) -> str:
    base = _base(found)
    if base is None or base is measured:
        return _seconds(measured)
    return _spread(_ratios(measured, base))


def _times_ours(measured: Measured, found: Found) -> str:
    own = _own(found)
    if own is None or own is measured:
        return _seconds(measured)
    return f"{_seconds(measured)}, {_spread(_ratios(measured, own))}x"


def _start(measured: Measured, found: Found) -> str:
    base, held = _base(found), f"{_memory(measured, found)} MB"
    if base is None or base is measured:
        return f"{_seconds(measured)}; {held}"
    return f"{_seconds(measured)}, {_spread(_ratios(measured, base))}x; {held}"


def _memory(measured: Measured, found: Found) -> str:
    return f"{statistics.median(measured.megabytes):.0f}"


def _pictures(measured: Measured, found: Found) -> str:
    rate = f"{COUNT / statistics.median(measured.seconds):.1f}"
    base = _base(found)
    if base is None or base is measured:
        return rate
    return f"{rate}, {_spread(_ratios(base, measured))}x"


UNITS: dict[str, tuple[Cell, str]] = {
    "ratio": (_ratio, "In multiples of the bare model's forward pass."),
    "seconds": (_times_ours, "The others also in multiples of onnxcam's."),
    "start": (
        _start,
        "The others also in multiples of the first column; and the most memory that was resident.",
    ),
    "memory": (_memory, "Megabytes, the most that was resident."),
    "pictures": (_pictures, "The others also in multiples of reading and predicting."),
}
"""How each unit is told, and in which words the page says so."""
