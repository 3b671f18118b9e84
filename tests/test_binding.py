"""Sessions run bound to a device: on the CPU here, through the same calls."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
import pytest
from builders import classifier
from graphs import pictures

import onnxcam
from onnxcam.binding import Bound, Direct, Replayed, is_recorded, runs_of
from onnxcam.errors import ExecutionError
from onnxcam.providers import CPU, CUDA, TENSORRT, Provider

OUTPUTS = ["logits", "cam", "cam_target"]


@pytest.fixture(scope="module")
def session() -> Any:
    model = onnxcam.rewrite(classifier(("batch", 3, 16, 16)), top=2)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU])


def feeds_of(count: int = 1, seed: int = 0, classes: tuple[int, int] = (1, 2)) -> dict[str, Any]:
    classes_each = np.tile(np.array([classes], np.int64), (count, 1))
    return {"image": pictures(count, seed=seed), "cam_class": classes_each}


def run(runs: Any, feeds: dict[str, Any], outputs: list[str] = OUTPUTS) -> list[np.ndarray]:
    return runs(feeds, outputs, onnxruntime.RunOptions())


def test_bound_runs_are_the_direct_ones(session: Any) -> None:
    for count in (1, 3, 2):
        feeds = feeds_of(count, seed=count)
        for bound, direct in zip(
            run(Bound(session, onnxruntime), feeds), run(Direct(session), feeds), strict=True
        ):
            np.testing.assert_array_equal(bound, direct)


def test_what_is_asked_for_comes_in_that_order(session: Any) -> None:
    found = run(Bound(session, onnxruntime), feeds_of(), ["cam_target", "logits"])
    assert [one.shape for one in found] == [(1, 2), (1, 5)]


def test_arrays_with_gaps_are_bound_as_they_read(session: Any) -> None:
    feeds = feeds_of()
    gaps = np.zeros((1, 3, 16, 32), np.float32)[..., ::2]
    gaps[...] = feeds["image"]
    np.testing.assert_array_equal(
        run(Bound(session, onnxruntime), feeds | {"image": gaps})[0], run(Direct(session), feeds)[0]
    )


def test_a_replayed_run_reads_what_is_new_at_the_old_places(session: Any) -> None:
    runs = Replayed(session, onnxruntime, "cpu", 0)
    places = set()
    for seed, classes in ((0, (1, 2)), (1, (3, 0)), (2, (4, 4))):
        feeds = feeds_of(2, seed, classes)
        found = run(runs, feeds, ["cam_target", "cam"])
        expected = run(Direct(session), feeds, ["cam_target", "cam"])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        places.add(tuple(value.data_ptr() for value in (*runs._inputs.values(), *runs._results())))
    assert len(places) == 1


def test_what_a_replayed_run_gave_stays_when_it_runs_again(session: Any) -> None:
    runs = Replayed(session, onnxruntime, "cpu", 0)
    (first,) = run(runs, feeds_of(seed=0), ["cam"])
    kept = first.copy()
    run(runs, feeds_of(seed=1), ["cam"])
    np.testing.assert_array_equal(first, kept)


def test_a_replayed_run_of_another_shape_is_refused(session: Any) -> None:
    runs = Replayed(session, onnxruntime, "cpu", 0)
    run(runs, feeds_of(2))
    with pytest.raises(ExecutionError, match=r"one shape: it was recorded for image \(2, 3, 16"):
        run(runs, feeds_of(1))


def test_a_first_run_that_fails_is_not_what_later_ones_must_be_like(session: Any) -> None:
    runs = Replayed(session, onnxruntime, "cpu", 0)
    with pytest.raises(Exception, match="invalid dimensions"):
        run(runs, {"image": np.zeros((1, 3, 7, 16), np.float32)})
    (found,) = run(runs, feeds_of(), ["cam"])
    np.testing.assert_array_equal(found, run(Direct(session), feeds_of(), ["cam"])[0])


def test_replayed_runs_wait_for_each_other(session: Any) -> None:
    """ONNX Runtime replays a graph for one thread at a time, and there is one place for inputs."""

    class Watched:
        """A session that notes how many runs are under way."""

        running = most = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(session, name)

        def run_with_iobinding(self, binding: Any, options: Any) -> None:
            self.running += 1
            self.most = max(self.most, self.running)
            time.sleep(0.01)  # another thread's turn
            session.run_with_iobinding(binding, options)
            self.running -= 1

    watched = Watched()
    runs = Replayed(watched, onnxruntime, "cpu", 0)
    expected = [run(Direct(session), feeds_of(seed=seed), ["cam"]) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: run(runs, feeds_of(seed=seed), ["cam"]), range(8)))
    assert watched.most == 1
    np.testing.assert_array_equal(found, expected)


def test_pictures_are_replayed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger batches are tried, refused and left alone: every picture has its own map."""
    model = classifier(("batch", 3, 16, 16))
    images = [np.uint8(255 * pictures(seed=seed)[0].transpose(1, 2, 0)) for seed in range(12)]
    expected = onnxcam.explain(model, images)
    made = []

    def replayed(runtime: Any, session: Any, provider: Provider) -> Replayed:
        made.append(Replayed(session, runtime, "cpu", 0))
        return made[-1]

    monkeypatch.setattr("onnxcam.runtime.runs_of", replayed)
    found = onnxcam.explain(model, images)
    assert made
    for one, other in zip(found, expected, strict=True):
        assert one.target == other.target
        np.testing.assert_allclose(one.raw, other.raw, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        (Provider(CPU), Direct),
        (Provider(CUDA), Bound),
        (Provider(CUDA, {"enable_cuda_graph": "0"}), Bound),
        (Provider(CUDA, {"enable_cuda_graph": True}), Replayed),
        (Provider(CUDA, {"enable_cuda_graph": "1", "device_id": "1"}), Replayed),
        (Provider(TENSORRT, {"trt_cuda_graph_enable": "True"}), Replayed),
        (Provider("OpenVINOExecutionProvider", {"device_type": "GPU"}), Bound),
    ],
    ids=str,
)
def test_how_a_session_runs(provider: Provider, kind: type, session: Any) -> None:
    runs = runs_of(onnxruntime, session, provider)
    assert isinstance(runs, kind)
    assert is_recorded(provider) == (kind is Replayed)
    if isinstance(runs, Replayed):
        assert runs.device_id == int(provider.options.get("device_id", 0))
