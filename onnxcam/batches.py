"""Many values run some at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnxcam.runtime import Arrays

Run = Callable[[Arrays], Arrays]
"""Answers by name, one for each of the values fed: axis 0 counts both."""


def in_batches(run: Run, values: Arrays, size: int) -> Arrays:
    """The answers for all values, `size` of them at a time."""
    starts = range(0, count_of(values), size)
    parts = [run({name: v[start : start + size] for name, v in values.items()}) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def filled_up(run: Run, values: Arrays, least: int) -> Arrays:
    """The answers for values of which no fewer than `least` may be fed: the last one fills up."""
    count = count_of(values)
    missing = least - count
    if missing <= 0:
        return run(values)
    full = {name: np.concatenate([v, np.repeat(v[-1:], missing, 0)]) for name, v in values.items()}
    return {name: answer[:count] for name, answer in run(full).items()}


def count_of(values: Arrays) -> int:
    """How many there are."""
    return len(next(iter(values.values())))
