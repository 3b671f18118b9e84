"""How jobs reach a runtime's own process and answers come back: text lines and raw bytes.

Any language reads this in a few lines. Fields are separated by tabs, a blank line ends a job:

    job     NAME  MODEL
    input   NAME  DTYPE  2,3,96,96  FILE

and a runner prints, amid whatever its libraries print,

    @  version  TEXT
    @  start    JOB
    @  output   JOB  NAME  DTYPE  2,1,12,12  FILE
    @  done     JOB                               or    @  error  JOB  MESSAGE

FILE is little-endian, row by row. A runner is called with the jobs' file and a folder for its own.
Imports nothing but numpy, so that any environment can run it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
MARK = "@"


@dataclass(frozen=True)
class Job:
    """A model file and what it is fed."""

    name: str
    model: Path
    feeds: Arrays


@dataclass
class Answer:
    """What a runtime made of a job: its outputs by name, or why there are none."""

    outputs: Arrays = field(default_factory=dict)
    error: str = ""


def write_jobs(jobs: list[Job], folder: Path) -> Path:
    """The jobs as FOLDER/jobs.txt, their inputs beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, job in enumerate(jobs):
        lines.append(_line("job", job.name, str(job.model.resolve())))
        for k, (name, value) in enumerate(job.feeds.items()):
            file = (folder / f"input.{number}.{k}.bin").resolve()
            lines.append(_line("input", name, *_stored(value, file)))
        lines.append("")
    path = folder / "jobs.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_jobs(path: Path) -> Iterator[Job]:
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line.split("\t") for line in block.splitlines() if line]
        if lines:
            (_, name, model), *inputs = lines
            yield Job(name, Path(model), {entry[1]: _loaded(*entry[2:]) for entry in inputs})


def _stored(value: np.ndarray, file: Path) -> tuple[str, str, str]:
    np.ascontiguousarray(value).tofile(file)
    return str(value.dtype), ",".join(map(str, value.shape)), str(file)


def _loaded(dtype: str, shape: str, file: str) -> np.ndarray:
    return np.fromfile(file, dtype).reshape([int(n) for n in shape.split(",") if n])


def _line(*words: str) -> str:
    return "\t".join(" ".join(word.split()) for word in words)


def say(*words: str) -> None:
    """One line to the one who started this process."""
    print(_line(MARK, *words), flush=True)


def answer_jobs(version: str, run: Callable[[Path, Arrays], Arrays]) -> None:
    """A Python runner's whole work: `run(model, feeds)` for every job on the command line."""
    jobs, folder = map(Path, sys.argv[-2:])
    say("version", version)
    for number, job in enumerate(read_jobs(jobs)):
        say("start", job.name)
        try:
            outputs = run(job.model, job.feeds)
        except Exception as error:  # the runtime's own words are what is asked for
            say("error", job.name, f"{type(error).__name__}: {error}")
            continue
        for k, (name, value) in enumerate(outputs.items()):
            say("output", job.name, name, *_stored(value, (folder / f"{number}.{k}.bin").resolve()))
        say("done", job.name)


class Listener:
    """Collects what a runner says."""

    def __init__(self) -> None:
        self.version = ""
        self.running = ""
        self.answers: dict[str, Answer] = {}

    def hear(self, line: str) -> None:
        mark, *words = line.rstrip("\n").split("\t")
        if mark != MARK:
            return
        kind, first, *rest = words
        if kind == "version":
            self.version = first
        elif kind == "start":
            self.running = first
        elif kind == "output":
            name, dtype, shape, file = rest
            self.answers.setdefault(first, Answer()).outputs[name] = _loaded(dtype, shape, file)
        else:
            self.running = ""
            answer = self.answers.setdefault(first, Answer())
            answer.error = rest[0] if kind == "error" else ""

    def broke(self, why: str) -> str:
        """The process ended in the middle of a job, which is named."""
        job, self.running = self.running, ""
        if job:
            self.answers[job] = Answer(error=why)
        return job
