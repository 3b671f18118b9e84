"""The table of methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.errors import MethodError, nearest
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.features import FeatureMap

Emit = Callable[[Emitter, FeatureMap, gs.Tensor], gs.Tensor]


@dataclass(frozen=True)
class Method:
    """A method in closed form.

    `emit(e, features, gradient)` emits the raw map (N, K, *spatial size), not normalised, from
    the target layer's feature map and the cotangent of its tensor.
    """

    name: str
    title: str
    formula: str
    paper: str
    emit: Emit


_METHODS: dict[str, Method] = {}


def method(name: str, title: str, formula: str, paper: str) -> Callable[[Emit], Emit]:
    """Register a method under its name."""

    def register(emit: Emit) -> Emit:
        _METHODS[name] = Method(name, title, formula, paper, emit)
        return emit

    return register


def methods() -> list[Method]:
    """All methods, by name."""
    return [_METHODS[name] for name in sorted(_METHODS)]


def find_method(name: str) -> Method:
    """The method of that name; `MethodError` with the nearest names when there is none."""
    if name not in _METHODS:
        near = nearest(name, _METHODS)
        raise MethodError(f"no method '{name}'{near or '; there is ' + ', '.join(_METHODS)}")
    return _METHODS[name]
