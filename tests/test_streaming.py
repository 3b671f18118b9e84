"""Many pictures at once: the same as one by one, whatever is among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from builders import classifier, gap_linear, torch_like, two_inputs
from graphs import SIDE, Build, photo, write_picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxcam
from onnxcam import Explainer, Explanation
from onnxcam.errors import ExecutionError, ImageError, OnnxCamError, TargetError

OPEN = ("batch", 3, SIDE, SIDE)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(classifier(OPEN), preprocess="0-1")


def same(one: Any, other: Any) -> None:
    """Two explanations of one picture, one of which ran beside others."""
    assert isinstance(one, Explanation)
    assert isinstance(other, Explanation)
    np.testing.assert_allclose(one.raw, other.raw, rtol=0, atol=1e-6 * np.abs(other.raw).max())
    np.testing.assert_array_equal(one.source, other.source)
    assert (one.target.index, one.target.label) == (other.target.index, other.target.label)
    assert one.target.score == pytest.approx(other.target.score, rel=1e-5)
    assert (one.warnings, one.image, one.layer) == (other.warnings, other.image, other.layer)
    assert (one.frame, one.provider) == (other.frame, other.provider)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each run of a session has."""
    seen: list[int] = []
    run = onnxcam.runtime.Runner.run

    def counted(self: Any, feeds: Any, outputs: Any = None) -> Any:
        seen.append(len(feeds["image"]))
        return run(self, feeds, outputs)

    monkeypatch.setattr(onnxcam.runtime.Runner, "run", counted)
    return seen


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.integers(0, 5), max_size=9),
    st.integers(1, 4),
    st.sampled_from([{}, {"top": 2}, {"target": 3}, {"target": "1-2"}, {"target": "best-rest"}]),
)
def test_batches_are_one_by_one(
    explainer: Explainer, seeds: list[int], batch: int, asked: dict[str, Any]
) -> None:
    images = [photo(rows=20 + seed, seed=seed) for seed in seeds]
    found = list(explainer.stream(images, batch=batch, **asked))
    alone = [one for image in images for one in explainer.explain([image], **asked)]
    assert len(found) == len(alone) == len(seeds) * asked.get("top", 1)
    for one, other in zip(found, alone, strict=True):
        same(one, other)


@pytest.mark.parametrize("method", ["gradcam++", "hirescam", "eigencam", "fullgrad", "saliency"])
def test_methods_in_batches(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(classifier(OPEN), method, preprocess="0-1")
    images = [photo(seed=seed) for seed in range(4)]
    runs = counting(monkeypatch)
    found = list(explainer.stream(images, batch=4))
    assert runs[0] == 4
    for one, image in zip(found, images, strict=True):
        same(one, explainer.explain(image))


def test_the_runs_are_as_large_as_asked_for(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [photo(seed=seed) for seed in range(7)]
    list(explainer.stream(images[:2], batch=2))  # the first batch is compared with one by one
    runs = counting(monkeypatch)
    list(explainer.stream(images, batch=3))
    assert runs == [3, 3, 1]


def test_a_fixed_batch_takes_as_many_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(classifier((3, 3, SIDE, SIDE)), preprocess="0-1")
    images = [photo(seed=seed) for seed in range(5)]
    alone = [explainer.explain(image) for image in images]
    runs = counting(monkeypatch)
    for one, other in zip(explainer.stream(images), alone, strict=True):
        same(one, other)
    assert runs == [3, 3, 3]  # two batches, the first compared with one by one
    with pytest.raises(ExecutionError, match="takes exactly 3 at a time"):
        next(explainer.stream(images, batch=2))
    with pytest.raises(ExecutionError, match="1 or more"):
        next(explainer.stream(images, batch=0))


def test_a_target_for_each_picture(explainer: Explainer) -> None:
    images = [photo(seed=seed) for seed in range(4)]
    found = list(explainer.stream(images, target=[3, "1-2", 0, 4], batch=4))
    for one, image, target in zip(found, images, [3, "1-2", 0, 4], strict=True):
        same(one, explainer.explain(image, target))
    with pytest.raises(TargetError, match="2 targets for more pictures"):
        list(explainer.stream(images, target=[1, 2]))


def test_a_broken_picture_is_its_error_in_its_place(explainer: Explainer, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no picture")
    images = [photo(seed=1), tmp_path / "broken.png", photo(seed=2), tmp_path / "none.png"]
    found = list(explainer.stream(images, batch=2))
    assert [type(one) for one in found] == [Explanation, ImageError, Explanation, ImageError]
    assert "none.png" in str(found[3])
    same(found[2], explainer.explain(photo(seed=2)))
    with pytest.raises(ImageError, match="broken"):
        explainer.explain(images)


def test_what_is_wrong_with_all_of_them_is_raised(explainer: Explainer) -> None:
    for asked in ({"target": 77}, {"target": 1, "top": 2}, {"top": 99}, {"target": "no such"}):
        with pytest.raises(TargetError):
            list(explainer.stream([photo()], **asked))
    assert isinstance(next(Explainer(two_inputs()).stream([photo()])), ExecutionError)


def test_an_endless_source(explainer: Explainer, tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{n}.png", photo(seed=n)) for n in range(3)]
    taken = []

    def endless() -> Iterator[Path]:
        for path in cycle(paths):
            taken.append(path)
            yield path

    stream = explainer.stream(endless(), batch=2)
    found = list(islice(stream, 20))
    stream.close()
    assert [one.image for one in found] == [str(path) for path in islice(cycle(paths), 20)]
    assert len(taken) < 20 + 4 * onnxcam.streaming.workers() + 8
    assert not [one for one in threading.enumerate() if one.name.startswith("onnxcam")]


def test_an_interrupt_ends_the_threads(explainer: Explainer) -> None:
    def source() -> Iterator[np.ndarray]:
        yield from (photo(seed=seed) for seed in range(5))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(explainer.stream(source(), batch=1))
    assert not [one for one in threading.enumerate() if one.name.startswith("onnxcam")]
    assert isinstance(explainer.explain(photo()), Explanation)


def mixing() -> onnx.ModelProto:
    """A model whose batch is open, and which takes the mean of its pictures off each."""
    b = Build(OPEN)
    b.op("ReduceMean", ["image", b.weight("axes", np.array([0], np.int64))], "mean", keepdims=1)
    b.op("Mul", ["mean", "image"], "mixed")
    b.conv("mixed", "conv", (8, 3, 3, 3))
    b.op("Relu", ["conv"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 8, 5)
    b.output("logits", ["batch", 5])
    return b.model()


def stuck() -> onnx.ModelProto:
    """A model whose batch is open by its input, and 1 by a Reshape inside."""
    b = Build(OPEN)
    b.conv("image", "conv", (8, 3, 3, 3))
    b.op("Relu", ["conv"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Reshape", ["pooled", b.weight("shape", np.array([1, 8], np.int64))], "flat")
    b.linear("flat", "logits", 8, 5)
    b.output("logits", [1, 5])
    return b.model()


@pytest.mark.parametrize("model", [mixing, stuck])
def test_a_model_that_is_not_for_batches_gets_its_pictures_one_by_one(
    model: Callable[[], onnx.ModelProto], monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(model(), preprocess="0-1", layer="features")
    images = [photo(seed=seed) for seed in range(6)]
    alone = [explainer.explain(image) for image in images]
    runs = counting(monkeypatch)
    for one, other in zip(explainer.stream(images, batch=3), alone, strict=True):
        same(one, other)
    assert runs.count(3) == 1  # tried once


def test_a_range_over_all_pictures_is_known_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gap_linear(np.eye(3, dtype=np.float32), batch="batch")
    assert not onnxcam.streaming.crosses_pictures(Explainer(model).network)
    monkeypatch.setattr(onnxcam.streaming, "_ACROSS_PICTURES", {"GlobalAveragePool"})
    explainer = Explainer(model, preprocess="0-1")
    runs = counting(monkeypatch)
    assert len(list(explainer.stream([photo()] * 4, batch=4))) == 4
    assert runs == [1] * 4


def test_a_method_of_many_runs_is_streamed_too() -> None:
    explainer = Explainer(torch_like(), "ablationcam", preprocess="0-1")
    images = [photo(seed=seed) for seed in range(2)]
    for one, image in zip(explainer.stream(images), images, strict=True):
        same(one, explainer.explain(image))


def test_only_outputs_that_are_asked_for(explainer: Explainer) -> None:
    x = np.zeros((2, 3, SIDE, SIDE), np.float32)
    assert set(explainer.run(x)) == {"raw", "target", "logits"}
    assert set(explainer.run(x, outputs=[])) == {"raw", "target"}
    assert set(explainer.run(x, outputs=["logits"])) == {"raw", "target", "logits"}
    with pytest.raises(OnnxCamError, match="no output 'logit'; did you mean 'logits'"):
        explainer.run(x, outputs=["logit"])
