"""How the benchmark measures: taking turns, failing, and telling maps apart."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from bench.environments import OPENVINO, Environments
from bench.measure import LEAST, difference, from_nothing, in_turns
from bench.processes import Failed, Process
from bench.task import CLASSES, INPUT, MODEL, PLACES, Task

import onnxcam

SHAPES = Path(__file__).resolve().parents[2] / "models" / "shapes_torch.onnx"


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The shapes network's folder, as `make` would fill it."""
    folder = tmp_path_factory.mktemp("networks") / "shapes"
    folder.mkdir()
    (folder / MODEL).write_bytes(SHAPES.read_bytes())
    np.save(folder / INPUT, np.random.default_rng(0).random((1, 3, 96, 96), np.float32))
    place = {"module": "", "tensor": onnxcam.find_layers(SHAPES)[0].name, "grid": None}
    (folder / PLACES).write_text(json.dumps({"last": place, CLASSES: [2, 1]}))
    return Task(folder, "gradcam", classes=(2,), threads=1)


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """Nothing is installed: who needs OpenVINO gets this environment, which has none."""
    made = Environments({OPENVINO: sys.executable}, tmp_path_factory.mktemp("environments"))
    yield made
    made.end()


def test_everyone_who_can_is_timed_and_whoever_cannot_says_why(environments, task):
    found = in_turns(environments, task, ("prediction", "own", "openvino_xai"), budget=0)
    assert len(found["prediction"].seconds) == len(found["own"].seconds) == LEAST
    assert min(found["own"].seconds) > 0
    assert found["openvino_xai"].failed.startswith("ModuleNotFoundError")


def test_from_nothing_counts_a_whole_process(environments, task):
    found = from_nothing(environments, task, ("prediction", "openvino_xai"), budget=0)
    assert min(found["prediction"].seconds) > 0.05  # an interpreter's start, at the very least
    assert min(found["prediction"].megabytes) > 20
    assert "openvino" in found["openvino_xai"].failed


def test_a_worker_that_dies_says_so():
    with pytest.raises(Failed, match="ended with status 1"):
        Process("/bin/false").ask("leave")


def test_a_worker_that_died_is_started_anew():
    process = Process(sys.executable)
    try:
        assert process.ask("leave") is None
        process._running.kill()
        process._running.wait()
        assert process.ask("leave") is None
    finally:
        process.end()


def test_a_task_survives_its_way_to_a_worker(task):
    assert Task.parse(task.text()) == task


def test_a_batch_holds_different_pictures(task):
    batch = Task(task.folder, "gradcam", batch=3).input
    assert batch.shape == (3, 3, 96, 96)
    assert len({one.tobytes() for one in batch}) == 3


class TestDifference:
    heat = np.array([[0.0, 1.0], [3.0, 2.0]], np.float32)

    def test_scale_and_negatives_do_not_count(self):
        signed = np.where(self.heat == 0, -5, self.heat)
        assert difference(signed, self.heat * 7) < 1e-6

    def test_another_map_is_apart(self):
        assert difference(self.heat, self.heat.T) == pytest.approx(2 / 3)

    def test_ours_is_enlarged_to_theirs(self):
        import cv2

        large = cv2.resize(self.heat, (8, 6), interpolation=cv2.INTER_LINEAR)
        assert difference(self.heat, large) < 1e-6

    def test_an_empty_map_and_nan_cannot_be_compared(self):
        assert difference(-self.heat, self.heat) is None
        assert difference(self.heat, self.heat * np.nan) is None

    def test_gradients_keep_their_sign(self):
        gradient = np.stack([self.heat, -self.heat, self.heat])
        assert difference(gradient, gradient) == 0
        assert difference(gradient, -gradient) == 2
