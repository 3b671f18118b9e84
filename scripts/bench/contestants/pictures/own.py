"""onnxcam: `Explainer.stream`; overlays are written on other threads, as the command line does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import onnxcam
from bench.task import Run, Task
from onnxcam.execution import ordered
from onnxcam.streaming import workers

Numbered = tuple[int, onnxcam.Explanation]


def enter(task: Task) -> Run:
    explainer = onnxcam.Explainer(
        task.model, task.method, layer=task.place.tensor, preprocess="imagenet"
    )

    def explained() -> Iterator[Numbered]:
        for number, one in enumerate(explainer.stream(task.pictures, target=task.classes[0])):
            assert isinstance(one, onnxcam.Explanation), one
            yield number, one

    def maps() -> np.ndarray:
        for _, one in explained():
            last = one
        return last.raw

    def overlays() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:

            def write(numbered: Numbered) -> onnxcam.Explanation:
                number, one = numbered
                one.save(Path(folder) / f"{number}.{task.written}")
                return one

            for one in ordered(explained(), write, workers(), 2 * workers()):
                last = one
        return last.raw

    return overlays if task.written else maps
