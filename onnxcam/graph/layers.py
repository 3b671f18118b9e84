"""Which tensor to explain at: the candidates, ranked, and the automatic choice among them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.detections import find_detections
from onnxcam.graph.explained import explained_tensors
from onnxcam.graph.features import FeatureMap
from onnxcam.graph.network import Network, operands, producer
from onnxcam.graph.plain import plain_inputs, plain_op
from onnxcam.graph.quantized import is_real
from onnxcam.graph.roles import follow_roles
from onnxcam.graph.stated_grid import (
    Grid,
    Layer,
    candidate,
)

LayerSpec = Layer

_MOVES = {
    "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast", "Slice",
    "Split", "Gather", "Pad", "Expand", "Dropout",
}  # fmt: skip
_POOLINGS = {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool"}
_LINEAR = {"MatMul", "Gemm"}
_CELL_BY_CELL = {
    "Concat", "Sigmoid", "Softmax", "Exp", "Softplus", "Clip", "Mul", "Div", "Add", "Sub", "Pow",
    "QuantizeLinear", "DequantizeLinear",
}  # fmt: skip
_ROUNDINGS = {"QuantizeLinear", "DequantizeLinear"}
_RESIZINGS = {"Resize", "Upsample"}


@dataclass(frozen=True)
class TargetLayer:
    """A tensor that can carry a heatmap.

    `index` is its rank, 0 the automatic choice; `trunk` says that every way from the picture to
    the score leads through it; `scope` is the innermost framework module recorded for it.
    """

    index: int
    name: str
    op: str
    scope: str
    trunk: bool
    features: FeatureMap

    @property
    def automatic(self) -> bool:
        return self.index == 0

    def as_dict(self) -> dict[str, Any]:
        """What `onnxcam layers --json` prints."""
        return {
            "index": self.index,
            "name": self.name,
            "op": self.op,
            "scope": self.scope,
            "shape": list(self.features.tensor.shape),
            "layout": self.features.layout,
            "grid": list(self.features.size),
            "trunk": self.trunk,
            "automatic": self.automatic,
        }


def rank_layers(network: Network, grid: Grid | None = None) -> list[TargetLayer]:
    """Candidate target layers, best first; `grid` says how tokens lie in the picture.

    The first is the automatic choice: the last feature map that every way to the score leads
    through, before pooling shrinks it; in a network that reads its class token, the input of the
    last attention, because no other token reaches the score behind it. Then the rest of the trunk
    from the end to the front, then what lies on branches.
    Raises `ModelError` when nothing between picture and score is spatial.
    """
    roles = follow_roles(network)
    path = picture_to_score(network)
    trunk = trunk_of(path, {tensor.name for tensor in explained_tensors(network)})
    maps = {
        t.name: features
        for node in path
        for t in node.outputs
        if is_real(t) and (features := candidate(network, t, roles.get(t.name), grid)) is not None
    }
    makers = {t.name: node for node in path for t in node.outputs}
    own = _own_maps(network)
    named = [name for name in maps if plain_op(makers[name]) not in _MOVES | _LINEAR]
    named = [name for name in named if name not in own]  # a picture is its own output's map
    if not named:
        raise ModelError(
            "no layer between picture and score is spatial, so there is nothing to draw a heatmap "
            "on; if there are rows of tokens, say how they tile the picture with grid (--grid "
            "HxW), at most one place a token"
        )
    best = _automatic(network, path, maps, [n for n in named if n in trunk] or named)
    behind = sorted(set(named) - {best}, key=lambda n: (n not in trunk, -network.position[n]))
    return [
        target_layer(network, index, maps[name], name in trunk)
        for index, name in enumerate([best, *behind])
    ]


def _own_maps(network: Network) -> set[str]:
    """Names of what is explained, of what it is another size or shape of, and in a detector of the
    maps that are nothing but its rows, laid out cell by cell: what the last layers give, and what
    is worked out from it."""
    waiting = explained_tensors(network)
    found: set[str] = set()
    passed = _MOVES | _ROUNDINGS | _RESIZINGS
    if find_detections(network) is not None:
        passed = _MOVES | _CELL_BY_CELL
    for tensor in waiting:
        found.add(tensor.name)
        node = producer(tensor)
        if node is not None and (plain_op(node) in passed or _adds_bias(network, node)):
            waiting.extend(t for t in plain_inputs(node) if t.name not in found)
    return found


def _adds_bias(network: Network, node: gs.Node) -> bool:
    """Whether a node adds stored numbers to what the picture gives."""
    return plain_op(node) == "Add" and sum(t.name in network.varying for t in node.inputs) == 1


def target_layer(network: Network, index: int, features: FeatureMap, trunk: bool) -> TargetLayer:
    """What a feature map is as a target layer; `index` is -1 for one that was named."""
    name = features.tensor.name
    node = producer(features.tensor)
    scopes = network.scopes.get(name, ())
    return TargetLayer(
        index, name, node.op if node else "input", scopes[-1] if scopes else "", trunk, features
    )


def picture_to_score(network: Network) -> list[gs.Node]:
    """Nodes between the inputs and the scores, in file order."""
    needed = {tensor.name for tensor in explained_tensors(network)}
    path: list[gs.Node] = []
    for node in reversed(network.graph.nodes):
        if any(t.name in needed for t in node.outputs):
            inputs = [t.name for t in operands(node) if t.name in network.varying]
            if inputs:
                path.append(node)
                needed.update(inputs)
    return path[::-1]


def trunk_of(path: list[gs.Node], ends: Collection[str] = ()) -> set[str]:
    """Tensors that every way through the path leads through: nothing else is alive beside them.

    Of several `ends`, each is alive until the last one is made.
    """
    last_use: dict[str, int] = {}
    for position, node in enumerate(path):
        last_use.update({t.name: position for t in operands(node)})
    last_use.update(dict.fromkeys(ends, len(path)))
    alive: set[str] = set()
    trunk: set[str] = set()
    for position, node in enumerate(path):
        alive.update(t.name for t in node.outputs if t.name in last_use and is_real(t))
        alive.difference_update(t.name for t in operands(node) if last_use[t.name] == position)
        if len(alive) == 1:
            trunk |= alive
    return trunk | {t.name for node in path[-1:] for t in node.outputs}


def _automatic(
    network: Network, path: list[gs.Node], maps: dict[str, FeatureMap], candidates: list[str]
) -> str:
    collapses = (
        node
        for node in reversed(path)
        if any(t.name in maps for t in node.inputs)
        and not any(t.name in maps for t in node.outputs)
    )
    collapse = next(collapses, path[-1])  # a network that puts out pictures has none
    if collapse.op in ("Gather", "Slice", "Split"):
        before = _before_last_attention(network, path, maps)
        if before is not None:
            return before
    last_first = sorted(candidates, key=lambda name: -network.position[name])
    unpooled = (n for n in last_first if _made_by(maps[n]) not in _POOLINGS)
    return next(unpooled, last_first[0])


def _made_by(features: FeatureMap) -> str:
    node = producer(features.tensor)
    while node is not None and node.op in _ROUNDINGS:
        node = producer(node.inputs[0])
    return "" if node is None else plain_op(node)


def _before_last_attention(
    network: Network, path: list[gs.Node], maps: dict[str, FeatureMap]
) -> str | None:
    """What the last attention's values are projected from: its normalised input."""
    for node in reversed(path):
        inputs = plain_inputs(node)
        if node.op in ("Attention", "MultiHeadAttention") and len(inputs) > 2:
            values = inputs[2] if inputs[2].name in network.varying else inputs[0]
        elif plain_op(node) == "MatMul" and all(t.name in network.varying for t in inputs):
            values = inputs[1]
        else:
            continue
        while (source := _projected_from(network, values)) is not None:
            values = source
        return values.name if values.name in maps else None
    return None


def _projected_from(network: Network, tensor: gs.Tensor) -> gs.Tensor | None:
    """The tensor that this one is a linear projection or a rearrangement of, if it is one."""
    node = producer(tensor)
    if node is None:
        return None
    op = plain_op(node)
    varying = [t for t in plain_inputs(node) if t.name in network.varying]
    if op in _MOVES | _ROUNDINGS | _LINEAR and varying:
        return varying[0] if op not in _LINEAR or len(varying) == 1 else None
    if op in ("Add", "Mul") and len(varying) == 1:
        maker = producer(varying[0])
        if maker is not None and plain_op(maker) in _MOVES | _ROUNDINGS | _LINEAR:
            return varying[0]
    return None
