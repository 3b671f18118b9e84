"""Values run some at a time."""

from __future__ import annotations

import numpy as np
import pytest

from onnxcam.batches import filled_up, in_batches
from onnxcam.runtime import Arrays

VALUES: Arrays = {"a": np.arange(7.0), "b": np.arange(14).reshape(7, 2)}


class Sums:
    """Answers with a + sum of b, and remembers how many were fed."""

    def __init__(self) -> None:
        self.fed: list[int] = []

    def __call__(self, values: Arrays) -> Arrays:
        self.fed.append(len(values["a"]))
        return {"sum": values["a"] + values["b"].sum(1)}


EXPECTED = Sums()(VALUES)["sum"]


@pytest.mark.parametrize(("size", "fed"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (9, [7])])
def test_every_value_is_answered_in_order(size: int, fed: list[int]) -> None:
    run = Sums()
    np.testing.assert_array_equal(in_batches(run, VALUES, size)["sum"], EXPECTED)
    assert run.fed == fed


@pytest.mark.parametrize(("least", "fed"), [(1, 7), (7, 7), (9, 9)])
def test_what_fills_up_has_no_answer(least: int, fed: int) -> None:
    run = Sums()
    np.testing.assert_array_equal(filled_up(run, VALUES, least)["sum"], EXPECTED)
    assert run.fed == [fed]


def test_the_last_one_fills_up() -> None:
    seen: list[np.ndarray] = []

    def run(values: Arrays) -> Arrays:
        seen.append(values["b"])
        return values

    filled_up(run, VALUES, 9)
    np.testing.assert_array_equal(seen[0][7:], [VALUES["b"][-1]] * 2)
