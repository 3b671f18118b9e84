"""Runs a runtime's jobs in its own process, which may crash or hang without ending the rest."""

from __future__ import annotations

import queue
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from conformance.exchange import Answer, Job, Listener, write_jobs
from conformance.runtimes import SCRIPTS, Runtime, environment

LIMIT = 60.0
"""Seconds without a word, after which a job is given up."""


@dataclass(frozen=True)
class Run:
    version: str
    answers: dict[str, Answer]


def run(runtime: Runtime, jobs: list[Job], folder: Path, limit: float = LIMIT) -> Run:
    """Every job's answer. A job that ends the process is named, and the rest start anew."""
    listener = Listener()
    waiting = list(jobs)
    attempt = 0
    while waiting:
        place = folder / str(attempt)
        why = _once(runtime, waiting, place, listener, limit)
        broken = listener.broke(why)
        left = [job for job in waiting if job.name not in listener.answers]
        if len(left) == len(waiting) and not broken:  # it does not even start
            listener.answers |= {job.name: Answer(error=why) for job in left}
            break
        waiting = left
        attempt += 1
    return Run(listener.version, listener.answers)


def _once(runtime: Runtime, jobs: list[Job], folder: Path, listener: Listener, limit: float) -> str:
    """One process; why it ended."""
    listed = write_jobs(jobs, folder)
    with (folder / "stderr.txt").open("w+b") as complaints:
        process = subprocess.Popen(
            [*runtime.command, str(listed), str(folder)],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            cwd=SCRIPTS,
            env=environment(runtime),
        )
        assert process.stdout is not None
        lines = _lines(process.stdout)
        try:
            while (line := lines.get(timeout=limit)) is not None:
                listener.hear(line)
        except queue.Empty:
            process.terminate()
            process.wait()
            return f"nothing for {limit:.0f} s"
        status = process.wait()
        complaints.seek(0)
        last = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
    return f"the process ended with status {status}: {' '.join(last)}".rstrip(": ")


def _lines(stream: IO[str]) -> queue.Queue[str | None]:
    """The stream's lines as they come, None at its end."""
    lines: queue.Queue[str | None] = queue.Queue()

    def pump() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=pump, daemon=True).start()
    return lines
