"""Tests that differ in little: some of them always, all of them among the slow ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but_one_in(step: int, cases: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Parameters of a test; but for every `step`th, the first among them, they are marked slow."""
    return [
        pytest.param(*case, marks=[pytest.mark.slow] if number % step else [])
        for number, case in enumerate(cases)
    ]
