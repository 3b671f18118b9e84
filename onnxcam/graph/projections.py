"""Keys and values of an attention as what they are made of: a linear layer of tokens, by heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.boxes import Box
from onnxcam.graph.needed_rows import TAKES, dropped_axis, taken
from onnxcam.graph.network import Network, constant, producer

_LAYOUTS = {*TAKES, "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_MOST_ELEMENTS = 2**24


@dataclass(frozen=True)
class Projection:
    """x W + b for each head: (n, 1, T, D) by (heads, D, width) plus (heads, 1, width), float32.

    The tensor that it is of has the axes (n, heads, T, width), or where it `is_transposed`
    (n, heads, width, T).
    """

    x: gs.Tensor
    weight: np.ndarray
    bias: np.ndarray | None
    is_transposed: bool

    @property
    def tokens(self) -> int:
        return int(self.x.shape[1])


def few_queries(
    network: Network, node: gs.Node, parts: Sequence[tuple[Box, list[Box]]]
) -> Projection | None:
    """The projection that a product of only some rows had better go around.

    A few queries q meet the tokens themselves sooner than their keys: q (x W)^T = (q W^T) x^T.
    So do values, p (x W) = (p x) W. None where there are too many queries for that to be less.
    """
    if node.op != "MatMul" or len(parts) > 1 or len(node.outputs[0].shape) != 4:
        return None
    part = parts[0][0]
    if set(part) != {2}:
        return None
    found = projection(network, node.inputs[1])
    if found is None or list(node.inputs[0].shape)[1:2] != [len(found.weight)]:
        return None
    return found if 2 * len(part[2]) <= found.weight.shape[2] else None


def projection(network: Network, tensor: gs.Tensor) -> Projection | None:
    """How a tensor (n, heads, ., .) is projected; None where it is not or that cannot be told."""
    layouts: list[tuple[gs.Node, int]] = []
    factor, bias = 1.0, None
    while (node := producer(tensor)) is not None:
        if node.op in _LAYOUTS and bias is None:
            layouts.append((node, [t is tensor for t in node.outputs].index(True)))
            tensor = node.inputs[0]
            continue
        if len(node.inputs) != 2:
            return None
        if node.op == "MatMul":
            return _of(network, node, list(reversed(layouts)), factor, bias)
        other, value = _constant_of(network, node)
        if other is None or value is None or bias is not None:
            return None
        if node.op == "Mul" and value.size == 1:
            factor *= value.item()
        elif node.op == "Div" and value.size == 1 and other is node.inputs[0]:
            factor /= value.item()
        elif node.op == "Add" and value.ndim and value.size == value.shape[-1]:
            bias = value.ravel()
        else:
            return None
        tensor = other
    return None


def _constant_of(network: Network, node: gs.Node) -> tuple[gs.Tensor | None, np.ndarray | None]:
    """The operand that varies, and the value of the one that does not."""
    a, b = node.inputs
    for other, fixed in ((a, b), (b, a)):
        value = network.value(fixed)
        if value is not None and network.value(other) is None:
            return other, value
    return None, None


def _of(
    network: Network,
    product: gs.Node,
    layouts: list[tuple[gs.Node, int]],
    factor: float,
    bias: np.ndarray | None,
) -> Projection | None:
    x, weight = product.inputs[0], constant(product.inputs[1])
    lengths = list(x.shape or [])
    if weight is None or weight.ndim != 2 or weight.dtype != np.float32 or len(lengths) != 3:
        return None
    batch, tokens, columns = lengths[0], lengths[1], weight.shape[1]
    if not isinstance(tokens, int) or (bias is not None and len(bias) != columns):
        return None
    found = _columns(network, layouts, (batch, tokens, columns))
    if found is None:
        return None
    of_heads, is_transposed = found
    by_head = np.moveaxis(weight[:, of_heads], 0, 1) * np.float32(factor)
    shift = None if bias is None else (bias[of_heads] * np.float32(factor))[:, None]
    return Projection(x, by_head, shift, is_transposed)


def _columns(
    network: Network, layouts: list[tuple[gs.Node, int]], shape: tuple[object, int, int]
) -> tuple[np.ndarray, bool] | None:
    """The column of each head's each feature (heads, width), and whether tokens are the last axis.

    Seen by laying out the numbers of all elements of two pictures, of one where the model takes
    no more.
    """
    batch, tokens, columns = shape
    count = 1 if batch == 1 else 2
    if count * tokens * columns > _MOST_ELEMENTS:
        return None
    places = np.arange(count * tokens * columns).reshape(count, tokens, columns)
    for node, output in layouts:
        laid_out = _laid_out(network, node, output, places)
        if laid_out is None:
            return None
        places = laid_out
    if places.ndim != 4 or len(places) != count:
        return None
    starts = (np.arange(count)[:, None] * tokens + np.arange(tokens)) * columns
    for is_transposed in (False, True):
        rows = places.swapaxes(2, 3) if is_transposed else places
        of_heads = rows[0, :, 0] % columns
        if np.array_equal(rows, starts[:, None, :, None] + of_heads[:, None]):
            return of_heads, is_transposed
    return None


def _laid_out(network: Network, node: gs.Node, output: int, x: np.ndarray) -> np.ndarray | None:
    """What an operator that only moves elements makes of an array."""
    if node.op == "Identity":
        return x
    if node.op == "Transpose":
        return x.transpose(node.attrs.get("perm"))
    if node.op in TAKES:
        rows = taken(network, node, output)
        if rows is None:
            return None
        for axis, some in rows.items():
            x = x.take(some, axis)
        gone = dropped_axis(node)
        return x if gone is None else x.squeeze(gone)
    lengths = [d if isinstance(d, int) else -1 for d in node.outputs[0].shape or [None, None]]
    try:
        return x.reshape(lengths)
    except ValueError:  # more lengths unknown than one
        return None
