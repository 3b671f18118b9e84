"""`onnxcam explain`: from the file and a picture to an overlay on disk."""

from __future__ import annotations

import tempfile

from bench.task import Run, Task
from onnxcam.cli import main


def enter(task: Task) -> Run:
    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            words = ["explain", str(task.model), task.pictures[0], "-o", folder]
            main([*words, "--preprocess", "imagenet"], standalone_mode=False)

    return run
