"""How many pictures are run together, on a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxcam.execution import batching
from onnxcam.execution.batching import Fixed, Measured, grouped


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(batching.time, "perf_counter", clock)
    return clock


def settled(sizes: Measured, clock: Clock, seconds: Callable[[int], float]) -> int:
    """The size after many batches, each of which takes that long."""
    for _ in range(200):
        size = sizes.size
        clock.now += seconds(size)
        sizes.note(size)
    return sizes.size


@pytest.mark.parametrize(
    ("seconds", "size"),
    [
        (lambda n: 0.01 * n, 1),  # as many cores as a picture needs
        (lambda n: 0.01 + 0.001 * n, 32),  # a device that a picture does not fill
        (lambda n: 0.01 if n <= 4 else 0.01 * n / 4, 4),  # one that four do
        (lambda n: 0.005 * n * n, 1),  # one that runs out of memory
        (lambda n: max(0.001 * n, 0.1 * n), 1),  # pictures that come in slowly
    ],
    ids=["cpu", "device", "four", "worse", "slow source"],
)
def test_sizes_double_as_long_as_that_is_faster(
    seconds: Callable[[int], float], size: int, clock: Clock
) -> None:
    assert settled(Measured(), clock, seconds) == size


def test_no_more_than_the_largest(clock: Clock) -> None:
    assert settled(Measured(8), clock, lambda n: 0.01) == 8
    assert settled(Measured(1), clock, lambda n: 0.01) == 1


def test_a_pause_is_not_measured(clock: Clock) -> None:
    sizes = Measured()

    def seconds(n: int) -> float:
        sizes.pause()
        return 100.0

    assert settled(sizes, clock, seconds) == 1


def test_what_cannot_be_run_together_is_not_tried_again(clock: Clock) -> None:
    sizes = Measured()
    settled(sizes, clock, lambda n: 0.01)
    assert sizes.size > 1
    sizes.stop()
    assert settled(sizes, clock, lambda n: 0.01) == 1
    fixed = Fixed(4)
    fixed.stop()
    assert fixed.size == 1


@given(st.lists(st.integers(), max_size=30), st.integers(1, 7))
def test_groups_hold_everything_in_order(items: list[int], size: int) -> None:
    groups = list(grouped(items, Fixed(size)))
    assert list(chain(*groups)) == items
    assert all(len(group) == size for group in groups[:-1])
    assert all(groups)


def test_an_endless_source_is_taken_group_by_group() -> None:
    numbers = count()
    assert list(islice(grouped(numbers, Fixed(3)), 2)) == [[0, 1, 2], [3, 4, 5]]
    assert next(numbers) == 6
