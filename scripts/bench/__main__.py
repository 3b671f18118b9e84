"""`python -m bench`: measures what is asked for and writes the page."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from bench.environments import REQUIREMENTS, TORCH, Environments
from bench.page import page
from bench.processes import Failed
from bench.results import Results, key
from bench.tables import TABLES, Row, Table
from bench.task import PLACES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = click.Path(file_okay=False, path_type=Path)
NAMES = [table.name for table in TABLES]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _pythons(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for name, _, python in pairs:
        if name not in REQUIREMENTS or not python:
            known = ", ".join(REQUIREMENTS)
            raise click.BadParameter(f"'{name}' is not NAME=PYTHON with a NAME of {known}")
    return {name: python for name, _, python in pairs}


def _measured(
    environments: Environments,
    table: Table,
    row: Row,
    work: Path,
    threads: int,
    device: str,
    seconds: float,
) -> None:
    network = work / "networks" / row.network
    if not (network / PLACES).exists():
        environments.worker(TORCH).ask("make", folder=str(network))
    found = table.measure(environments, row.task(work, threads, device), row.names, seconds)
    Results(work, device).add(table, row, found)


@click.command()
@click.option("--table", "tables", multiple=True, type=click.Choice(NAMES), help="Only these.")
@click.option("--only", default="", help="Rows whose title contains this.")
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="NAME=PYTHON",
    help=f"An environment that is there already: {', '.join(REQUIREMENTS)}. Others are made.",
)
@click.option("--threads", default=2, show_default=True, help="Of every library, on the CPU.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--seconds", default=15.0, show_default=True, help="About so long a row.")
@click.option(
    "--work",
    type=FOLDER,
    default=Path.home() / ".cache" / "onnxcam-bench",
    show_default=True,
    help="Environments, networks and results; what is measured there is not measured again.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=ROOT / "BENCHMARKS.md",
    show_default=True,
)
def main(
    tables: tuple[str, ...],
    only: str,
    pythons: tuple[str, ...],
    threads: int,
    device: str,
    seconds: float,
    work: Path,
    output: Path,
) -> None:
    """Measure onnxcam beside its neighbours on this machine, and write BENCHMARKS.md."""
    work = work.resolve()
    environments = Environments(_pythons(pythons), work / "environments")
    done = Results(work, device).read()
    wanted = [
        (table, row)
        for table in TABLES
        if not tables or table.name in tables
        for row in table.rows
        if only in row.title and key(table, row) not in done
    ]
    try:
        for number, (table, row) in enumerate(wanted, 1):
            start = time.perf_counter()
            try:
                _measured(environments, table, row, work, threads, device, seconds)
            except Failed as reason:
                say(f"{table.name}, {row.title}: {reason}")
                continue
            spent = time.perf_counter() - start
            place = f"{number} of {len(wanted)}"
            say(f"{place}: {table.name}, {row.title}, batch {row.batch}: {spent:.0f} s")
    finally:
        environments.end()
    output.write_text(page(Results(work, device).read(), environments, threads, device))
    say(f"{output} written")


if __name__ == "__main__":
    main()
