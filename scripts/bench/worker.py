"""The process of one environment: it prepares tasks and runs them when it is told to.

Lines of JSON come in and go out; libraries print to standard error. What a request cannot do is
answered with its reason, and the process goes on.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bench.task import Run, Task


def enter(contestant: str, task: Task) -> Run:
    return import_module(f"bench.contestants.{contestant}").enter(task)


def peak() -> float:
    """Megabytes this process has held at most. Linux; `getrusage` would count its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def timed(run: Run, count: int) -> tuple[list[float], object]:
    """Seconds of each of so many runs, and what the last one gave."""
    spent: list[float] = []
    result: object = None
    for _ in range(count):
        start = time.perf_counter()
        result = run()
        spent.append(time.perf_counter() - start)
    return spent, result


class Worker:
    """Its requests, by name; every one gives what is answered."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._results: dict[str, Any] = {}

    def make(self, folder: str) -> None:
        import_module("bench.make").make(Path(folder))

    def enter(self, contestant: str, task: str) -> float:
        """Seconds that it took."""
        start = time.perf_counter()
        self._runs[contestant] = enter(contestant, Task.parse(task))
        return time.perf_counter() - start

    def time(self, contestant: str, count: int) -> list[float]:
        spent, self._results[contestant] = timed(self._runs[contestant], count)
        return spent

    def result(self, contestant: str, path: str) -> None:
        """Write what the last run gave."""
        np.save(path, self._results[contestant])

    def leave(self) -> None:
        self._runs.clear()
        self._results.clear()


def main() -> None:
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")  # what libraries print goes elsewhere
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        try:
            answer: object = {"done": getattr(worker, request.pop("do"))(**request)}
        except Exception as error:  # of whichever library: it is the answer
            reason = str(error).strip().splitlines() or [""]
            answer = {"failed": f"{type(error).__name__}: {reason[0]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
