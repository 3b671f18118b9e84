"""What counts as the same output."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.comparison import LEEWAY, TOLERANCE, Expected, difference, expected, outcome
from conformance.exchange import Answer

MAP = np.array([0.0, 1.0, -4.0], np.float32)


@pytest.mark.parametrize(
    ("got", "off"),
    [
        (MAP, 0.0),
        (MAP + np.float32(0.04), 0.01),
        (MAP[:2], np.inf),
        (np.array([0, 1, np.nan]), np.inf),
        (np.array([0, 1, np.inf]), np.inf),
    ],
)
def test_difference_is_relative_to_the_largest(got: np.ndarray, off: float) -> None:
    assert difference(MAP, got) == pytest.approx(off)


def test_what_is_nowhere_finite_agrees_with_itself_only() -> None:
    nothing = np.full(2, np.nan)
    assert difference(nothing, nothing) == 0
    assert difference(nothing, np.zeros(2)) == np.inf


def test_of_zeros_only_zeros_are_right() -> None:
    assert difference(np.zeros(2), np.zeros(2)) == 0
    assert difference(np.zeros(2), np.full(2, 1e-9)) == np.inf


def test_whole_numbers_are_compared_too() -> None:
    assert difference(np.array([3]), np.array([2])) == pytest.approx(1 / 3)


RIGHT = {"cam": MAP, "cam_target": np.array([[2]])}


def _answer(scale: float) -> Answer:
    return Answer({"cam": MAP * scale, "cam_target": np.array([[2]])})


def test_outcome_is_the_worst_output() -> None:
    good = outcome(Expected(RIGHT, {}), _answer(1.0005))
    assert good.passed
    assert not good.adrift
    assert good.worst == pytest.approx(5e-4, rel=1e-2)

    bad = outcome(Expected(RIGHT, {}), _answer(1.1))
    assert bad.failure == "cam is off by 1.0e-01"
    assert bad.worst > TOLERANCE


def test_every_wrong_output_is_named() -> None:
    bad = outcome(Expected(RIGHT, {}), Answer({"cam": MAP * 2, "cam_target": np.array([[1]])}))
    assert bad.failure == "cam is off by 1.0e+00; cam_target is off by 5.0e-01"


def test_what_moves_by_itself_may_be_off_as_far() -> None:
    right = expected(Answer(RIGHT), [_answer(1.0), _answer(1.05)])
    assert right.drift == pytest.approx({"cam": 0.05, "cam_target": 0.0})

    off = outcome(right, _answer(1.1))
    assert off.passed
    assert off.adrift
    assert not outcome(right, _answer(1.1 * LEEWAY)).passed


def test_a_second_opinion_that_breaks_off_allows_nothing() -> None:
    right = expected(Answer({"cam": MAP}), [Answer({"cam": MAP * np.nan})])
    assert right.tolerance("cam") == TOLERANCE


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Answer(error="no kernel"), "no kernel"),
        (Answer({}), "no output cam"),
        (Answer({"cam": MAP[None]}), "cam has shape (1, 3) instead of (3,)"),
        (Answer({"cam": MAP * np.nan}), "cam is not finite, or not zero, where it should be"),
    ],
)
def test_failures_say_why(answer: Answer, failure: str) -> None:
    assert outcome(Expected({"cam": MAP}, {}), answer).failure == failure
