"""Signals: where the line and the heat are on the plot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxcam.errors import OnnxCamError
from onnxcam.overlay import Look, View, render
from onnxcam.overlay.plot import WIDTH, ticks
from onnxcam.signals import Signal

GREEN_HEAT = Look("heatmap", "summer")


def plot(values: np.ndarray, heat: np.ndarray, look: Look = GREEN_HEAT) -> np.ndarray:
    return render(Signal(values.astype(np.float32)), heat.astype(np.float32), look, View())


def inside(picture: np.ndarray) -> np.ndarray:
    """The part within the frame of the first row."""
    frame = (picture == 120).all(axis=2)
    top = int(np.flatnonzero(frame.sum(axis=1) > WIDTH // 2)[0])
    left = int(np.flatnonzero(frame[top])[0])
    bottom = int(np.flatnonzero(frame[:, left])[-1])
    return picture[top + 1 : bottom, left + 1 : left + WIDTH - 1]


def test_the_line_follows_the_signal() -> None:
    values = np.linspace(0, 1, 200)[:, None] ** 2
    drawn = inside(plot(values, np.ones(200)))
    height, width = drawn.shape[:2]
    for share in (0.2, 0.5, 0.9):
        column = drawn[:, round(share * (width - 1))]
        dark = np.flatnonzero(column.max(axis=1) < 60)
        expected = (1.08 - share**2) / 1.16 * (height - 1)
        assert dark.mean() == pytest.approx(expected, abs=4)


@pytest.mark.parametrize("length", [50, 961, 5000])
def test_the_heat_is_behind_its_samples(length: int) -> None:
    heat = np.zeros(length)
    heat[round(0.7 * length)] = 1
    drawn = inside(plot(np.zeros((length, 1)), heat, Look("heatmap", "gray")))
    row = drawn[4, :, 0].astype(int)
    assert row.argmax() == pytest.approx(0.7 * WIDTH, abs=WIDTH / length + 3)
    assert row.max() > 240
    assert (row > 128).sum() <= max(2 * WIDTH / length, 3)


def test_every_channel_has_its_row() -> None:
    one = plot(np.random.default_rng(0).random((30, 1)), np.zeros(30))
    many = plot(np.random.default_rng(0).random((30, 20)), np.zeros(30))
    assert many.shape[0] > 2 * one.shape[0]
    frame = (many == 120).all(axis=2)
    assert (frame.sum(axis=1) > WIDTH // 2).sum() == 40


def test_gaps_in_a_signal_stay_gaps() -> None:
    values = np.zeros((100, 1))
    values[40:60] = np.nan
    drawn = inside(plot(values, np.ones(100)))
    dark = (drawn.max(axis=2) < 60).any(axis=0)
    assert dark[: int(0.38 * WIDTH)].all()
    assert not dark[int(0.42 * WIDTH) : int(0.58 * WIDTH)].any()


@pytest.mark.parametrize("values", [np.zeros((1, 1)), np.full((5, 2), np.nan), np.full((3, 1), 7)])
def test_signals_with_little_in_them_are_drawn(values: np.ndarray) -> None:
    drawn = plot(values, np.zeros(len(values)), Look())
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] > WIDTH


def test_enlarge_draws_it_larger() -> None:
    values = np.random.default_rng(0).random((30, 2))
    small, large = (plot(values, np.zeros(30), Look(enlarge=n)) for n in (1, 2))
    np.testing.assert_allclose(np.array(large.shape) / small.shape, (2, 2, 1), atol=0.03)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OnnxCamError, match="length"):
        plot(np.zeros((5, 1)), np.zeros(4))
    with pytest.raises(OnnxCamError, match="panel"):
        plot(np.zeros((5, 1)), np.zeros(5), Look("panel"))


def test_ticks_are_round_numbers() -> None:
    assert ticks(0, 499, 8) == [0, 100, 200, 300, 400]
    assert ticks(-1.08, 1.08, 5) == [-1, -0.5, 0, 0.5, 1]
    assert ticks(0.0031, 0.0049, 4) == [0.0035, 0.004, 0.0045]


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 12))
def test_ticks_lie_within_and_are_not_too_many(low: float, span: float, most: int) -> None:
    marks = ticks(low, low + span, most)
    assert len(marks) <= most + 1
    slack = 1e-6 * (abs(low) + span)
    assert all(low - slack <= mark <= low + span + slack for mark in marks)
