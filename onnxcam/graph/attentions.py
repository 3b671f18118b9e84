"""Attentions: where tokens look at one another, and which of them the score is read from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import onnx_graphsurgeon as gs

from onnxcam.errors import LayerError, ModelError
from onnxcam.graph.dims import Dim
from onnxcam.graph.features import FeatureMap, as_feature_map
from onnxcam.graph.layers import picture_to_score
from onnxcam.graph.network import Network, describe, operands, producer
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.plain import plain_inputs, plain_op
from onnxcam.graph.quantized import is_real
from onnxcam.graph.read_tokens import Tokens, tokens_read
from onnxcam.graph.roles import Roles, follow_roles
from onnxcam.graph.stated_grid import Grid, on_grid

_WAY_OUT = "choose another method, gradcam say, which explains at the last layer"

_FUSED = {"Attention", "MultiHeadAttention", "QAttention"}
_PRODUCTS = {"MatMul", "Einsum"}
_PASSED = {
    "Identity", "Cast", "Dropout", "Where", "QuantizeLinear", "DequantizeLinear", "Transpose",
    "Squeeze", "Unsqueeze",
    "Reshape",
}  # fmt: skip


@dataclass(frozen=True)
class Attention:
    """softmax(Q K^T) V: the node that makes the probabilities, or all of it where they are fused.

    The probabilities are (N, heads, queries, keys), or (N * heads, queries, keys).
    """

    node: gs.Node
    queries: int
    keys: int

    @property
    def fused(self) -> bool:
        """Whether one operator does it all, so that no tensor holds the probabilities."""
        return plain_op(self.node) != "Softmax"

    @property
    def tensor(self) -> gs.Tensor:
        """The probabilities, or the result of a fused operator."""
        return self.node.outputs[0]


@dataclass(frozen=True)
class Attentions:
    """The attentions of a transformer, in order: each of all tokens to all tokens.

    `pooling` is one behind them that gathers the tokens for the head; without it `rows` are the
    tokens that the head reads, all alike.
    """

    layers: tuple[Attention, ...]
    pooling: Attention | None
    rows: tuple[int, ...]
    tokens: Tokens

    @property
    def all(self) -> tuple[Attention, ...]:
        """The pooling one included."""
        return self.layers if self.pooling is None else (*self.layers, self.pooling)

    def features(self, attention: Attention) -> FeatureMap:
        """What one of them looks at: the keys are the last axis of its probabilities."""
        channel, token = (-1, -2) if attention.fused else (-3, -1)
        row = self.tokens
        return FeatureMap(attention.tensor, channel, (token,), row.grid, row.prefix, row.suffix)


def find_attentions(network: Network, grid: Grid | None = None) -> Attentions:
    """The attentions between picture and score; `grid` says how tokens lie where that is open.

    Raises `ModelError` where there are none or where they do not follow one another on the same
    tokens, `LayerError` where nobody can tell how the tokens lie.
    """
    path = picture_to_score(network)
    found = [one for node in path if (one := _as_attention(network, node)) is not None]
    if not found:
        raise ModelError(f"the model has no attention between picture and score; {_WAY_OUT}")
    last = found[-1]
    pooling = last if len(found) > 1 and last.queries == 1 != last.keys else None
    layers = found if pooling is None else found[:-1]
    for one in found:
        if one.keys != found[0].keys or (one.queries != one.keys and one is not pooling):
            raise ModelError(
                f"{describe(one.node)} lets {one.queries} tokens attend to {one.keys}, not all "
                f"tokens to all of them, so attention cannot be followed from one layer to the "
                f"next; {_WAY_OUT}"
            )
    roles = follow_roles(network)
    rows = [_tokens(network, roles, one, grid) for one in found]
    tokens = rows[0]
    differing = next((k for k, row in enumerate(rows) if row is None or row != tokens), None)
    if tokens is None or differing is not None:
        raise LayerError(
            f"{describe(found[differing or 0].node)} attends between {found[0].keys} tokens, and "
            f"how they tile the picture cannot be told; say it with grid (--grid HxW), or "
            f"{_WAY_OUT}"
        )
    read = tokens_read(network, path, roles, layers[-1].node, tokens)
    return Attentions(tuple(layers), pooling, read, tokens)


def _as_attention(network: Network, node: gs.Node) -> Attention | None:
    if not node.outputs or node.outputs[0].shape is None:
        return None
    if node.op in _FUSED:
        queries, keys = _lengths(node)
    elif plain_op(node) == "Softmax" and _is_over_keys(network, node):
        queries, keys = node.outputs[0].shape[-2:]
    else:
        return None
    if not isinstance(queries, int) or not isinstance(keys, int):
        raise ModelError(
            f"how many tokens attend at {describe(node)} is open{network.because}; fix the "
            f"model's input size"
        )
    return Attention(node, queries, keys)


def _lengths(node: gs.Node) -> tuple[Dim, Dim]:
    """Numbers of queries and keys of a fused operator: axis 2 where the heads have their own."""
    query = node.inputs[0]
    key = node.inputs[1] if node.op != "QAttention" and _has_keys(node) else query
    queries, keys = (t.shape[2 if len(t.shape) == 4 else 1] for t in (query, key))
    return queries, keys


def _has_keys(node: gs.Node) -> bool:
    """ONNX Runtime's Attention takes weights there, and packed operands leave it out."""
    contributed = node.op == "Attention" and node.domain == "com.microsoft"
    return not contributed and len(node.inputs) > 1 and bool(node.inputs[1].name)


def _is_over_keys(network: Network, node: gs.Node) -> bool:
    """Whether a Softmax weights the last axis of something that is then multiplied by values."""
    rank = len(node.outputs[0].shape)
    default = -1 if network.opset >= 13 else 1
    if rank not in (3, 4) or node.attrs.get("axis", default) % rank != rank - 1:
        return False
    seen = [node.outputs[0]]
    for tensor in seen:
        for reader in tensor.outputs:
            inputs = plain_inputs(reader)
            if plain_op(reader) in _PRODUCTS and any(t is tensor for t in inputs):
                return all(t.name in network.varying for t in inputs)
            if plain_op(reader) in _PASSED:
                seen.append(reader.outputs[0])
    return False


def _tokens(
    network: Network, roles: dict[str, Roles], attention: Attention, grid: Grid | None
) -> Tokens | None:
    """The nearest row of as many tokens in front of an attention; None where there is none.

    Raises `ModelError` where a larger map of the picture comes first, cut into so many tokens.
    """
    picture = network.tensors[find_image_input(network).name]
    for tensor in _in_front(network, attention.node):
        features = as_feature_map(tensor, roles.get(tensor.name))
        if features is None or tensor.name == picture.name:
            continue
        places = math.prod(dim for dim in features.size if isinstance(dim, int))
        if features.is_tokens and tensor.shape[features.spatial[0]] == attention.keys:
            own = features if grid is None else on_grid(features, grid)
            return Tokens(attention.keys, own.grid, own.prefix, own.suffix)
        if places > attention.keys and places % attention.keys == 0:
            _refuse_windows(attention)
    if grid is None or math.prod(grid) > attention.keys:
        return None
    count, batch = attention.tensor.shape[0], picture.shape[0]
    batched = len(attention.tensor.shape) == 3 and not attention.fused
    if not batched and None not in (count, batch) and count != batch:
        _refuse_windows(attention)
    return Tokens(attention.keys, grid, attention.keys - math.prod(grid))


def _in_front(network: Network, node: gs.Node) -> Iterator[gs.Tensor]:
    """The activations that a node depends on, the nearest first."""
    seen: set[str] = set()
    queue = [node]
    for one in queue:
        for tensor in operands(one):
            if tensor.name in seen or tensor.name not in network.varying or not is_real(tensor):
                continue
            seen.add(tensor.name)
            yield tensor
            maker = producer(tensor)
            if maker is not None:
                queue.append(maker)


def _refuse_windows(attention: Attention) -> NoReturn:
    raise ModelError(
        f"{describe(attention.node)} attends within windows of {attention.keys} tokens, so "
        f"attention cannot be followed from one layer to the next; {_WAY_OUT}"
    )
