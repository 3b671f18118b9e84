"""How many pictures are run together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol, TypeVar

Item = TypeVar("Item")

LARGEST = 32
"""Pictures that are run together at most where nobody says how many."""

_ROUNDS = 4
_GAIN = 0.95


class Sizes(Protocol):
    """Says how many of the next pictures are run together."""

    @property
    def size(self) -> int: ...

    def note(self, count: int) -> None:
        """`count` pictures have come out."""

    def pause(self) -> None:
        """What comes next took longer for other reasons."""

    def stop(self) -> None:
        """Pictures cannot be run together."""


class Fixed:
    """Always as many."""

    def __init__(self, size: int) -> None:
        self.size = size

    def note(self, count: int) -> None:
        pass

    def pause(self) -> None:
        pass

    def stop(self) -> None:
        self.size = 1


class Measured:
    """Doubles as long as pictures come out faster for it.

    What is measured is the time from one batch's end to the next one's, so that whoever is slowest
    decides: where pictures come in, or are taken away, more slowly than they are run, larger
    batches gain nothing, and would only keep them waiting.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self.size = 1
        self._largest = largest
        self._best = (float("inf"), 1)
        self._periods: list[float] = []
        self._last: float | None = None
        self._settled = largest == 1

    def note(self, count: int) -> None:
        if self._settled:
            return
        now = time.perf_counter()
        if self._last is not None and count == self.size:
            self._periods.append((now - self._last) / count)
        self._last = now
        if len(self._periods) == _ROUNDS:
            self._judge(min(self._periods))

    def pause(self) -> None:
        self._last = None

    def stop(self) -> None:
        self.size, self._settled = 1, True

    def _judge(self, period: float) -> None:
        if period < _GAIN * self._best[0]:
            self._best = (period, self.size)
            self._settled = self.size * 2 > self._largest
            self.size = self.size if self._settled else self.size * 2
        else:
            self.size, self._settled = self._best[1], True
        # A size's first batch gets its memory, and those of the old one are still under way.
        self._periods, self._last = [], None


def grouped(items: Iterable[Item], sizes: Sizes) -> Iterator[list[Item]]:
    """Items in lists as long as `sizes` says at the time, the last one shorter."""
    source = iter(items)
    while group := list(islice(source, sizes.size)):
        yield group
