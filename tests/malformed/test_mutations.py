"""Models broken at random (`scripts/fuzz.py` breaks more of them), and very long ones."""

from __future__ import annotations

from collections.abc import Callable

import fuzz
import large
import onnx
import pytest

import onnxcam

MODELS = 50


def test_models_broken_at_random() -> None:
    said: list[str] = []
    counts = fuzz.fuzz(range(MODELS), [], said.append)
    assert counts["bad"] == 0, said
    assert counts["accepted"] > 3
    assert counts["refused"] > 3


def test_the_same_seed_breaks_the_same_model() -> None:
    made = [fuzz.broken(seed, []) for seed in range(40)]
    assert made == [fuzz.broken(seed, []) for seed in range(40)]
    assert len(set(made)) == 40


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("build", [large.chain, large.wide])
def test_many_nodes_are_differentiated(build: Callable[[int], onnx.ModelProto], count: int) -> None:
    """Neither the stack nor anybody's patience ends before they do."""
    made = onnxcam.append_gradients(build(count), "logits", ["image"])
    assert len(made.graph.node) > 2 * count
