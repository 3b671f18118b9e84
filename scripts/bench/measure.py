"""Measuring one task: everyone who is compared does it, in turns."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.environments import BASE, CONTESTANTS, OWN, Environments
from bench.processes import SCRIPTS, Failed, environment
from bench.task import Task

PAUSE = 0.3
"""Seconds before a block: worker threads of whoever ran before spin for a while after a run, and
on few cores they would be measured too."""

BLOCK = 0.25
"""Seconds a block takes at least, if a run is shorter than that: the median of its runs counts."""

LONG = 10.0
"""Seconds from which a run is not repeated."""

MOST, LEAST = 25, 3
"""Rounds."""


@dataclass(frozen=True)
class Measured:
    """One contestant's task: seconds of each round, or why there are none.

    `prepared` is the seconds it took until the first run could start; `megabytes` what its process
    held at most, round by round, where that was measured; `difference` is how far its result is
    from onnxcam's, as a share of the largest value.
    """

    seconds: list[float] = field(default_factory=list)
    failed: str = ""
    prepared: float | None = None
    megabytes: list[float] = field(default_factory=list)
    difference: float | None = None

    def kept(self) -> dict[str, Any]:
        """What is not empty, for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", [])}


def in_turns(
    environments: Environments, task: Task, names: Sequence[str], budget: float
) -> dict[str, Measured]:
    """Time a task in running processes, for about `budget` seconds, one after the other.

    Who goes first changes every round, so a drift of the machine's speed meets all of them.
    """
    prepared: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name in names:
        try:
            worker = environments.of(name)
            prepared[name] = worker.ask("enter", contestant=name, task=task.text())
        except Failed as reason:
            failed[name] = str(reason)
    try:
        seconds = _rounds(environments, list(prepared), failed, budget)
        apart = _differences(environments, [name for name in seconds if name not in failed])
    finally:
        for name in prepared:
            environments.of(name).ask("leave")
    found = {
        name: Measured(spent, "", prepared[name], difference=apart.get(name))
        for name, spent in seconds.items()
        if name not in failed
    }
    return found | {name: Measured(failed=why) for name, why in failed.items()}


def _rounds(
    environments: Environments, names: list[str], failed: dict[str, str], budget: float
) -> dict[str, list[float]]:
    """Everyone's seconds, round by round; of a long run those of the only one."""

    def timed(name: str, count: int) -> list[float]:
        time.sleep(PAUSE)
        try:
            found: list[float] = environments.of(name).ask("time", contestant=name, count=count)
            return found
        except Failed as reason:
            failed[name] = str(reason)
            return []

    first = {name: timed(name, 1) for name in names}
    once = {name: spent for name, spent in first.items() if spent and spent[0] > LONG}
    again = [name for name, spent in first.items() if spent and name not in once]
    typical = {
        name: first[name][0] if first[name][0] > 4 * BLOCK else min(timed(name, 2), default=BLOCK)
        for name in again
    }
    spent: dict[str, list[float]] = {name: [] for name in again}
    end = time.perf_counter() + budget
    for number in range(MOST):
        if number >= LEAST and time.perf_counter() > end:
            break
        for name in again[:: -1 if number % 2 else 1]:
            if name in failed:
                continue
            if runs := timed(name, _count(typical[name])):
                spent[name].append(float(np.median(runs[1:] or runs)))
    return once | spent


def _count(typical: float) -> int:
    """Runs in a block; the first of several only wakes the threads and is not counted."""
    return 1 if typical > 4 * BLOCK else min(1 + max(1, int(BLOCK / typical)), 60)


def _differences(environments: Environments, names: list[str]) -> dict[str, float]:
    """How far everyone's result is from onnxcam's."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if name not in BASE:
                path = str(Path(folder) / f"{name}.npy")
                environments.of(name).ask("result", contestant=name, path=path)
                results[name] = np.load(path)
    own = next((results.pop(name) for name in OWN if name in results), None)
    if own is None:
        return {}
    apart = {name: difference(own, other) for name, other in results.items()}
    return {name: value for name, value in apart.items() if value is not None}


def difference(own: np.ndarray, other: np.ndarray) -> float | None:
    """The largest difference of two maps, each scaled to [0, 1]; ours is first enlarged to theirs.

    Of gradients, (C, H, W), the largest over the largest of ours. None for what cannot be compared:
    an empty map, one with NaN, or volumes of different sizes.
    """
    if own.ndim == 3 and own.shape == other.shape and own.shape[0] == 3:
        return float(np.abs(own - other).max() / np.abs(own).max())
    if own.max() <= 0:
        return None
    mine = _unit(np.maximum(own, 0))
    if own.shape != other.shape:
        if own.ndim != 2:
            return None
        mine = _unit(cv2.resize(mine, other.shape[::-1], interpolation=cv2.INTER_LINEAR))
    apart = float(np.abs(mine - _unit(np.maximum(other, 0))).max())
    return apart if np.isfinite(apart) else None


def _unit(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float32)
    return (values - values.min()) / max(float(np.ptp(values)), 1e-30)


def from_nothing(
    environments: Environments, task: Task, names: Sequence[str], budget: float
) -> dict[str, Measured]:
    """Time a task in new processes, each from its start to its end, and what they hold at most."""
    once = {name: _once(environments, name, task) for name in names}  # brings files into memory
    failed = {name: found for name, found in once.items() if isinstance(found, str)}
    rounds: dict[str, list[tuple[float, float]]] = {
        name: [] for name in names if name not in failed
    }
    end = time.perf_counter() + budget
    for number in range(MOST):
        if number >= LEAST and time.perf_counter() > end:
            break
        for name in list(rounds)[:: -1 if number % 2 else 1]:
            found = _once(environments, name, task)
            if isinstance(found, str):
                raise Failed(f"{CONTESTANTS[name].title}: {found}")
            rounds[name].append(found)
    measured = {
        name: Measured([spent for spent, _ in each], megabytes=[held for _, held in each])
        for name, each in rounds.items()
    }
    return measured | {name: Measured(failed=why) for name, why in failed.items()}


def _once(environments: Environments, name: str, task: Task) -> tuple[float, float] | str:
    """Seconds and megabytes of a new process, or its last words."""
    python = environments.python(CONTESTANTS[name].environment)
    time.sleep(PAUSE)
    start = time.perf_counter()
    ended = subprocess.run(
        [python, "-m", "bench.once", name, task.text()],
        capture_output=True,
        text=True,
        cwd=SCRIPTS,
        env=environment(),
    )
    spent = time.perf_counter() - start
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or [f"status {ended.returncode}"])[-1]
    return spent, float(ended.stdout.splitlines()[-1])
