"""Work ahead on other threads: in order, bounded, and over when nobody asks any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxcam.execution.pipeline import ordered


def onnxcam_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("onnxcam")]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=20),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_it_is_map(waits: list[int], threads: int, ahead: int) -> None:
    def work(item: tuple[int, int]) -> tuple[int, int]:
        time.sleep(item[1] / 2000)
        return item

    assert list(ordered(enumerate(waits), work, threads, ahead)) == list(enumerate(waits))
    assert not onnxcam_threads()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 30))
def test_an_endless_source_is_read_a_little_ahead(threads: int, ahead: int, asked: int) -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    found = list(islice(ordered(numbers(), lambda n: n * n, threads, ahead), asked))
    assert found == [n * n for n in range(asked)]
    assert len(taken) <= asked + ahead


def test_stages_stand_behind_each_other() -> None:
    squares = ordered(range(20), lambda n: n * n, 2, 4)
    assert list(ordered(squares, str, 2, 3)) == [str(n * n) for n in range(20)]


def test_the_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2)
    assert len(list(ordered(range(4), lambda _: both.wait(timeout=20), 2, 4))) == 4


def test_what_the_work_raises_comes_in_its_place() -> None:
    found = ordered(range(4), lambda n: 1 // (n - 2), 2, 4)
    assert [next(found), next(found)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert not onnxcam_threads()


def test_what_the_source_raises_comes_behind_the_results() -> None:
    def source() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("the card was pulled out")

    found = []
    with pytest.raises(ValueError, match="pulled out"):
        found.extend(ordered(source(), str, 2, 4))
    assert found == ["1", "2"]


def test_a_live_source_is_not_made_to_wait() -> None:
    """The first result comes while the source has given two items, of eight ahead."""
    given_out = []
    done = threading.Event()

    def source() -> Iterator[int]:
        for number in count():
            if number:
                assert done.wait(20)  # the work on the one before is done
                time.sleep(0.01)
            done.clear()
            given_out.append(number)
            yield number

    found = ordered(source(), lambda n: done.set() or n, 1, 8)
    assert next(found) == 0
    assert len(given_out) <= 3
    found.close()


def test_an_interrupt_ends_the_threads_and_begins_nothing_more() -> None:
    begun = []

    def work(n: int) -> int:
        begun.append(n)
        time.sleep(0.01)
        return n

    def source() -> Iterator[int]:
        yield from range(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ordered(source(), work, 1, 8))
    assert not onnxcam_threads()
    assert len(begun) < 5


def test_who_stops_asking_ends_the_threads() -> None:
    found = ordered(count(), lambda n: n, 2, 4)
    assert next(found) == 0
    found.close()
    assert not onnxcam_threads()
