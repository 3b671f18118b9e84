"""The layer that somebody means: by rank, tensor, node or framework scope."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace

from onnxcam.errors import LayerError, nearest
from onnxcam.graph.layers import LayerSpec, TargetLayer, rank_layers, target_layer
from onnxcam.graph.network import Network
from onnxcam.graph.quantized import is_real
from onnxcam.graph.roles import follow_roles
from onnxcam.graph.stated_grid import Grid, OnGrid, named_feature_map, on_grid, shown


def as_number(spec: int | str) -> int | None:
    """The number that an index is given by, as an int or in digits; None when it is a name."""
    if isinstance(spec, str):
        return int(spec) if re.fullmatch(r"-?[0-9]{1,18}", spec) else None
    return int(spec)


def resolve_layers(network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
    """One layer or several, each given as `resolve_layer` takes it; repeated ones count once.

    Raises `LayerError` as that does, and for an empty list.
    """
    spec, grid = (spec.layer, spec.grid) if isinstance(spec, OnGrid) else (spec, None)
    if spec is None or isinstance(spec, str | int):
        return (resolve_layer(network, spec, grid),)
    found = {layer.name: layer for layer in (resolve_layer(network, one, grid) for one in spec)}
    if not found:
        raise LayerError("the list of layers is empty; leave it out for the automatic choice")
    return tuple(found.values())


def resolve_layer(
    network: Network, spec: str | int | None, grid: Grid | None = None
) -> TargetLayer:
    """A layer by rank, tensor name, node name or framework scope; None is the automatic choice.

    `grid` is the height and width of the picture in tokens, for a layer of tokens (N, T, C).
    Raises `LayerError` with the nearest names when there is none, or when it is not spatial.
    """
    if not isinstance(spec, str | int | None):
        raise LayerError(f"a layer is a name or a number, not {spec!r}")
    rank = as_number(0 if spec is None else spec)
    if rank is not None:
        ranked = rank_layers(network, grid)
        if 0 <= rank < len(ranked):
            found = ranked[rank]
            return found if grid is None else _on_grid(found, grid)
        if spec not in network.tensors:  # torch's older exporter numbers its tensors
            raise LayerError(f"no layer {rank}; this model has layers 0 to {len(ranked) - 1}")
    name = _tensor_named(network, str(spec))
    features = named_feature_map(network.tensors[name], follow_roles(network).get(name), grid)
    if features is None:
        shape = network.tensors[name].shape
        hint = ""
        if shape is not None and len(shape) == 3:
            hint = "; if these are tokens, say how they tile it with grid (--grid HxW)"
            if grid is not None:
                hint = f"; a grid of {shown(grid)} needs {math.prod(grid)} tokens"
        raise LayerError(
            f"layer '{spec}' (tensor '{name}', shape {shape}) is not a feature map of the "
            f"picture; onnxcam layers lists those that are{hint}"
        )
    return target_layer(network, -1, features, False)


def _on_grid(layer: TargetLayer, grid: Grid) -> TargetLayer:
    return replace(layer, features=on_grid(layer.features, grid))


def _tensor_named(network: Network, spec: str) -> str:
    if spec in network.tensors:
        return spec
    nodes = {node.name: node for node in network.graph.nodes if node.name}
    if spec in nodes:
        return str(nodes[spec].outputs[0].name)
    for pattern in (re.escape(spec), re.escape(spec) + r"(_\d+)?"):  # Keras numbers its copies
        inside = _inside_scope(network, re.compile(pattern))
        if inside:
            return max(inside, key=lambda name: network.position[name])
    known = [*_all_scopes(network), *nodes, *network.varying]
    raise LayerError(
        f"no layer '{spec}'{nearest(spec, known) or '; onnxcam layers lists what there is'}"
    )


def _inside_scope(network: Network, pattern: re.Pattern[str]) -> list[str]:
    """Float tensors computed in a module of that name."""
    return [
        name
        for name, scopes in network.scopes.items()
        if any(pattern.fullmatch(scope) for scope in scopes)
        and name in network.tensors
        and is_real(network.tensors[name])
    ]


def _all_scopes(network: Network) -> Iterable[str]:
    return dict.fromkeys(scope for scopes in network.scopes.values() for scope in scopes)
