"""Jobs and answers survive the way through text and bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance import exchange
from conformance.exchange import Answer, Job, Listener, answer_jobs, read_jobs, write_jobs


def _job(name: str = "one", **feeds: np.ndarray) -> Job:
    return Job(name, Path("/models/a.onnx"), feeds)


def test_jobs_are_read_as_they_were_written(tmp_path: Path) -> None:
    x = np.arange(6, dtype=np.float16).reshape(2, 3)
    path = write_jobs([_job(x=x, y=np.array(-1)), _job("two", x=x[:, ::-1])], tmp_path)

    one, two = read_jobs(path)

    assert (one.name, one.model, two.name) == ("one", Path("/models/a.onnx"), "two")
    assert one.feeds["x"].dtype == np.float16
    np.testing.assert_array_equal(one.feeds["x"], x)
    np.testing.assert_array_equal(one.feeds["y"], -1)
    np.testing.assert_array_equal(two.feeds["x"], x[:, ::-1])


def test_a_python_runner_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.ones((2, 2), np.float32)
    path = write_jobs([_job("good", x=x), _job("bad")], tmp_path)
    monkeypatch.setattr(exchange.sys, "argv", ["runner", str(path), str(tmp_path)])

    answer_jobs("fake 1", lambda model, feeds: {"y": feeds["x"] * 2})

    heard = Listener()
    for line in ["a library's chatter", *capsys.readouterr().out.splitlines()]:
        heard.hear(line)
    assert heard.version == "fake 1"
    np.testing.assert_array_equal(heard.answers["good"].outputs["y"], x * 2)
    assert heard.answers["bad"].error == "KeyError: 'x'"
    assert not heard.running


def test_outputs_do_not_overwrite_inputs_yet_to_be_read(tmp_path: Path) -> None:
    path = write_jobs([_job(x=np.zeros(3)), _job("two", x=np.ones(3))], tmp_path)
    for number in range(2):
        np.full(1, 7.0).tofile(tmp_path / f"{number}.0.bin")

    assert [job.feeds["x"].tolist() for job in read_jobs(path)] == [[0, 0, 0], [1, 1, 1]]


def test_a_broken_job_loses_what_it_had() -> None:
    heard = Listener()
    heard.hear("@\tstart\tone")
    heard.answers["one"] = Answer({"y": np.zeros(1)})

    assert heard.broke("it crashed") == "one"
    assert heard.answers["one"] == Answer(error="it crashed")
    assert heard.broke("again") == ""
