"""A runtime may crash, hang or not start at all; every job has an answer all the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from conformance.exchange import Job
from conformance.processes import run
from conformance.runtimes import Runtime

RUNNER = """
import os, sys, time
from conformance.exchange import answer_jobs

def run(model, feeds):
    if model.name == "crash.onnx":
        print("terrible", file=sys.stderr, flush=True)
        os._exit(3)
    if model.name == "hang.onnx":
        time.sleep(60)
    return {"y": feeds["x"] + 1}

answer_jobs("fake 1", run)
"""


def _jobs(*models: str) -> list[Job]:
    return [Job(name, Path(f"{name}.onnx"), {"x": np.zeros(2)}) for name in models]


def test_the_rest_runs_after_a_crash(tmp_path: Path) -> None:
    fake = Runtime("fake", (sys.executable, "-c", RUNNER))

    ran = run(fake, _jobs("one", "crash", "two"), tmp_path)

    assert ran.version == "fake 1"
    assert ran.answers["crash"].error == "the process ended with status 3: terrible"
    for name in ("one", "two"):
        np.testing.assert_array_equal(ran.answers[name].outputs["y"], [1, 1])


def test_a_job_that_hangs_is_given_up(tmp_path: Path) -> None:
    fake = Runtime("fake", (sys.executable, "-c", RUNNER))

    ran = run(fake, _jobs("hang", "two"), tmp_path, limit=2)

    assert ran.answers["hang"].error == "nothing for 2 s"
    assert not ran.answers["two"].error


def test_what_does_not_start_fails_everything(tmp_path: Path) -> None:
    fake = Runtime("fake", (sys.executable, "-c", "import sys; sys.exit('no such library')"))

    ran = run(fake, _jobs("one", "two"), tmp_path)

    assert {answer.error for answer in ran.answers.values()} == {
        "the process ended with status 1: no such library"
    }
    assert list(ran.answers) == ["one", "two"]
