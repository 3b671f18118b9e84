"""What a method is: baked into the graph, or a search over many runs of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.layers import LayerSpec, TargetLayer, resolve_layers
from onnxcam.graph.network import Network
from onnxcam.methods.lab import Lab
from onnxcam.methods.scene import Scene


class Method(ABC):
    """A way of making a map. Parameters, where it has any, are fields of a frozen dataclass.

    `needs` says what of the model: "gradient", "forward only", "batch-dynamic head",
    "attention", ...; `cost` what it takes, in forward passes of the model; `bakes` whether it can
    live in the rewritten file.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    cost: ClassVar[str]
    bakes: ClassVar[bool]

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        """The tensors to explain at; methods that need other ones than a target layer say so."""
        return resolve_layers(network, spec)

    @classmethod
    def as_dict(cls) -> dict[str, Any]:
        """What `onnxcam methods --json` prints."""
        return {
            "name": cls.name,
            "title": cls.title,
            "formula": cls.formula,
            "needs": list(cls.needs),
            "cost": cls.cost,
            "bakes": cls.bakes,
            "paper": cls.paper,
        }


class Baked(Method):
    """A method in closed form, emitted as nodes."""

    bakes = True

    @abstractmethod
    def emit(self, scene: Scene) -> gs.Tensor:
        """Emit the raw map at the scene's layer: float32 (N, K, *size), as the paper's formula
        gives it, not normalised."""


class Searched(Method):
    """A method that runs the model many times, on changed pictures or activations."""

    bakes = False

    @abstractmethod
    def search(self, lab: Lab) -> np.ndarray:
        """The raw maps of one picture: float32 (K, *size), not normalised."""
