"""What is asked of everyone who is compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

MODEL, INPUT, PLACES = "model.onnx", "input.npy", "places.json"
"""What a network's folder holds: the exported file, one input (1, C, ...), and its layers by name,
with the classes that are explained."""

CLASSES = "classes"

Run = Callable[[], object]
"""Does the task once and gives its result: the heat of the first input, (h, w) or larger."""


@dataclass(frozen=True)
class Place:
    """A layer: its path in the PyTorch module, and the tensor of the file with the same values.

    `grid`, of what is a list of tokens: height and width, and how many tokens stand in front.
    """

    module: str
    tensor: str
    grid: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Task:
    """Explain `classes` of every input of a batch by a method, at layers of a network.

    `folder` is the network's and has its name; `layers` are names in its `places.json`, none of
    them is the choice that a library makes by itself; `threads` is how many each library may use on
    the CPU; `device` is "cpu" or "cuda". `pictures` are JPEG files, where a stream is explained;
    `written` is the format of overlays, where they are written.
    """

    folder: Path
    method: str
    layers: tuple[str, ...] = ("last",)
    classes: tuple[int, ...] = (281,)
    batch: int = 1
    threads: int = 2
    device: str = "cpu"
    pictures: tuple[str, ...] = ()
    written: str = ""

    @property
    def network(self) -> str:
        return self.folder.name

    @property
    def model(self) -> Path:
        return self.folder / MODEL

    @cached_property
    def input(self) -> np.ndarray:
        """float32 (batch, C, ...), no two of them equal."""
        one = np.load(self.folder / INPUT)
        return np.concatenate([np.roll(one, 7 * number, -1) for number in range(self.batch)])

    @cached_property
    def places(self) -> list[Place]:
        known = json.loads((self.folder / PLACES).read_text())
        return [Place(**known[name]) for name in self.layers]

    @staticmethod
    def best(folder: Path) -> tuple[int, ...]:
        """The network's classes that have something to show at all of its layers, best first."""
        return tuple(json.loads((folder / PLACES).read_text())[CLASSES])

    @property
    def place(self) -> Place:
        """The only layer. Raises `ValueError` if there are more."""
        (place,) = self.places
        return place

    def text(self) -> str:
        return json.dumps(asdict(self) | {"folder": str(self.folder)})

    @classmethod
    def parse(cls, text: str) -> Task:
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
        return cls(**given | {"folder": Path(given["folder"])})
