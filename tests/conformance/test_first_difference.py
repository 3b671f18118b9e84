"""The node that a runtime computes differently is named, before those that only follow from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from conformance.exchange import Answer, Job
from conformance.first_difference import differing, watched
from onnx.reference import ReferenceEvaluator


@pytest.fixture
def job(tmp_path: Path) -> Job:
    made = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 20]>
        g (float[2] x) => (float[2] y) {
            a = Abs(x)
            b = HardSigmoid<alpha = 2.0, beta = 0.0>(a)
            y = Neg(b)
        }"""
    )
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    return Job("one", path, {"x": np.array([0.0, -0.25], np.float32)})


def _answer(job: Job) -> Answer:
    evaluator = ReferenceEvaluator(str(job.model))
    outputs = evaluator.run(None, job.feeds)
    return Answer(dict(zip(evaluator.output_names, outputs, strict=True)))


def test_every_tensor_is_watched(job: Job, tmp_path: Path) -> None:
    answer = _answer(watched(job, tmp_path / "watched.onnx"))

    assert list(answer.outputs) == ["y", "a", "b"]
    np.testing.assert_array_equal(answer.outputs["b"], np.float32([0, 0.5]))


def test_the_cause_comes_first(job: Job, tmp_path: Path) -> None:
    watch = watched(job, tmp_path / "watched.onnx")
    right = _answer(watch)
    wrong = Answer(dict(right.outputs) | {"b": np.float32([0.5, 1]), "y": -np.float32([0.5, 1])})
    model = onnx.load(watch.model)

    first, second = differing(model, right, wrong)

    assert first.startswith("1.0e+00  HardSigmoid")
    assert "a[2]" in first
    assert "alpha=2.0" in first
    assert "Neg" in second
    assert list(differing(model, right, right)) == []
