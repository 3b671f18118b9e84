"""`python -m conformance`: makes the files, runs every runtime that is here, writes the page."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from conformance.cases import Case, cases
from conformance.comparison import Expected, expected, outcome
from conformance.exchange import Job
from conformance.files import disturbed, prepared
from conformance.options import EXTRA, FILE, FOLDER, place_options, places
from conformance.processes import run
from conformance.report import Column, page
from conformance.runtimes import cpu, find, plain_cpu

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _prepared(wanted: Iterable[Case], folder: Path) -> tuple[dict[str, Job], dict[str, str]]:
    """The jobs by name, and why the others came to no file."""
    jobs, unwritten = {}, {}
    for case in wanted:
        try:
            jobs[case.name] = prepared(case, folder)
        except Exception as error:  # a converter's trouble is said and the rest go on
            unwritten[case.name] = f"{type(error).__name__}: {error}"
    return jobs, unwritten


def _expected(jobs: dict[str, Job], folder: Path) -> tuple[dict[str, Expected], dict[str, str]]:
    """What should come out of each job, and why nothing does of the others."""
    everything = list(jobs.values())
    first = run(cpu(), everything, folder / "expected").answers
    others = [
        run(plain_cpu(), everything, folder / "plain").answers,
        run(cpu(), [disturbed(job) for job in everything], folder / "disturbed").answers,
    ]
    right = {
        name: expected(answer, [each[name] for each in others if not each[name].error])
        for name, answer in first.items()
        if not answer.error
    }
    return right, {name: answer.error for name, answer in first.items() if answer.error}


@click.command()
@place_options
@click.option(
    "--profile", "profiles", multiple=True, default=("cpu", "portable"), show_default=True
)
@EXTRA
@click.option("--only", default="", help="Cases whose name contains this.")
@click.option("--runtime", "only_runtime", default="", help="Runtimes whose name contains this.")
@click.option("--work", type=FOLDER, help="Where the files are kept; default: nowhere.")
@click.option("-o", "--output", type=FILE, default=PAGE, show_default=True)
def main(
    profiles: tuple[str, ...],
    extra: tuple[Path, ...],
    only: str,
    only_runtime: str,
    work: Path | None,
    output: Path,
    **given_places: Any,
) -> None:
    """Run the conformance table."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as passing:
        folder = (work or Path(passing)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {case.name: case for case in cases(profiles, extra) if only in case.name}
        jobs, unwritten = _prepared(wanted.values(), folder)
        say(f"{len(jobs)} files, {len(unwritten)} could not be made")
        right, failing = _expected(jobs, folder)
        unwritten |= {name: f"ONNX Runtime on the CPU: {why}" for name, why in failing.items()}
        given = {name: jobs[name] for name in right}
        columns, skipped = [], []
        for found in find(places(given_places), folder):
            if isinstance(found, tuple):
                skipped.append(found)
                say(f"{found[0]}: not run, {found[1]}")
                continue
            if only_runtime not in found.name:
                continue
            mine = [job for name, job in given.items() if found.takes(wanted[name])]
            ran = run(found, mine, folder / found.name.replace(" ", "_"))
            outcomes = {name: outcome(right[name], each) for name, each in ran.answers.items()}
            columns.append(Column(found.name, ran.version, outcomes))
            passed = sum(each.passed for each in outcomes.values())
            say(f"{found.name}, {ran.version}: {passed} of {len(mine)} pass")
        output.write_text(page(list(wanted.values()), columns, skipped, unwritten))


if __name__ == "__main__":
    main()
