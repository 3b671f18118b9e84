"""Differentiation of a network: the walk over all its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.registry import Derivative, Key, derivative_of, replaced
from onnxcam.autodiff.walk import find_path, pull_back
from onnxcam.graph.emitter import Emitter


def is_straight_through(e: Emitter, wrt: Iterable[str], of: Iterable[str]) -> bool:
    """Whether rounding lies between: then it counts as the identity (arXiv:1308.3432).

    As in `differentiate`, tensors may be emitted ones.
    """
    path = find_path([*e.network.graph.nodes, *e.nodes], wrt, of)
    derivatives = (derivative_of(node) for node in path.nodes)
    return any(derivative is not None and derivative.quantizing for derivative in derivatives)


def differentiate(
    e: Emitter,
    seeds: Mapping[str, Cotangent],
    wrt: Iterable[str],
    instead: Mapping[Key, Derivative] | None = None,
) -> dict[str, gs.Tensor]:
    """Emit the cotangents of the tensors `wrt`, given those of the tensors in `seeds`.

    The walk goes through the network and through what has been emitted behind it, so a seed may
    be of an emitted tensor: a target's own arithmetic, or a gradient, which makes the second
    derivative. Cotangents are float32, float64 for float64 tensors
    (`onnxcam.autodiff.precision`); they may be lazy and may have leading axes
    (`onnxcam.autodiff.cotangent`). Returns them by tensor name; a tensor that the seeds do not
    depend on is left out. `instead` holds other derivatives of some (domain, operator), for
    modified backpropagation: inside fused operators and branches as well, not inside loops.
    Raises `UnsupportedOperatorError` when an operator on the path has no derivative.
    """
    table = replaced(instead) if instead else derivative_of
    found = pull_back(e, [*e.network.graph.nodes, *e.nodes], seeds, wrt, table)
    return {name: dense(e, dy) for name, dy in found.items()}
