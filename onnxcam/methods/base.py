"""What a method is: baked into the graph, or a search over many runs of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.named_layers import resolve_layers
from onnxcam.graph.network import Network
from onnxcam.methods.lab import Lab
from onnxcam.methods.scene import Scene


class Method(ABC):
    """A way of making a map. Parameters, where it has any, are fields of a frozen dataclass.

    `needs` says what of the model: "gradient", "forward only", "batch-dynamic head",
    "attention", ...; `cost` what it takes, in forward passes of the model; `bakes` whether it can
    live in the rewritten file; `joins_layers` whether one map is made of all its layers together,
    else each has a map of its own; `outliers` the share of places, the hottest, that are drawn as
    hot as the hottest of the rest: single pixels would leave all others dark.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    cost: ClassVar[str]
    bakes: ClassVar[bool]
    joins_layers: ClassVar[bool] = False
    outliers: ClassVar[float] = 0.0

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        """The tensors to explain at; methods that need other ones than a target layer say so."""
        return resolve_layers(network, spec)

    def warnings(self, network: Network) -> tuple[str, ...]:
        """What a user should know about the method's maps of this model."""
        return ()

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """The method's parameters and their defaults."""
        return {one.name: one.default for one in fields(cls)} if is_dataclass(cls) else {}

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
            "parameters": cls.parameters(),
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

    runs_behind: ClassVar[bool] = False
    """Whether it asks for the scores of changed activations of its layer."""

    @abstractmethod
    def search(self, lab: Lab) -> np.ndarray:
        """The raw maps of one picture: float32 (K, *size), not normalised."""
