"""Take the drawn weights out of an exported graph, leaving the rule that puts them back.

Exporters transpose weights and fold normalisations into them. A constant is recognised by value: it
is a drawn parameter with its axes in some order, up to a factor per channel.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
import onnx
from onnx import numpy_helper

from .rebuild import Refill, along, constants
from .recipe import Draw

SMALL = 64
"""Constants up to this many elements stay in the graph."""

KEPT_METADATA = "pkg.torch.onnx.name_scopes"
"""The one node metadata entry that is worth its bytes; others hold stack traces and local paths."""


def strip(
    model: onnx.ModelProto, draws: Sequence[Draw]
) -> tuple[onnx.ModelProto, list[Refill], dict[str, np.ndarray]]:
    """The graph without drawn weights, the rules to refill it, and the folded scales they need."""
    stripped = onnx.ModelProto()
    stripped.CopyFrom(model)
    drop_metadata(stripped)
    by_size: dict[int, list[Draw]] = defaultdict(list)
    for draw in draws:
        by_size[int(np.prod(draw.shape))].append(draw)
    refills: list[Refill] = []
    scales: dict[str, np.ndarray] = {}
    for name, tensor in constants(stripped):
        candidates = by_size.get(int(np.prod(tensor.dims)), [])
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) <= SMALL:
            continue
        found = recognise(name, numpy_helper.to_array(tensor), candidates)
        if found is None:
            continue
        refill, scale = found
        refills.append(refill)
        if refill.scale is not None:
            scales[refill.scale] = scale
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
    return stripped, refills, scales


def drop_metadata(model: onnx.ModelProto) -> None:
    """Remove what exporters note about the machine they ran on."""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key == KEPT_METADATA]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.doc_string = ""


def recognise(
    name: str, values: np.ndarray, candidates: Sequence[Draw]
) -> tuple[Refill, np.ndarray] | None:
    """The rule that makes `values` from one of the draws, with the scale it needs (maybe empty)."""
    for draw in candidates:
        for order in _orders(draw.shape, values.shape):
            drawn = draw.values().transpose(order).reshape(values.shape)
            if np.allclose(values, drawn, rtol=1e-6, atol=0):
                return Refill(name, draw, order), np.empty(0)
            for axis in range(values.ndim):
                scale = _scale(values, drawn, axis)
                if scale is not None:
                    return Refill(name, draw, order, axis, f"scale {name}"), scale
    return None


def _orders(shape: Sequence[int], wanted: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Axis orders of `shape` that give `wanted`, axes of length one aside."""
    squeezed = [size for size in wanted if size != 1]
    for order in permutations(range(len(shape))):
        if [shape[axis] for axis in order if shape[axis] != 1] == squeezed:
            yield order


def _scale(values: np.ndarray, drawn: np.ndarray, axis: int) -> np.ndarray | None:
    """The factors along `axis` that turn `drawn` into `values`, if there are such."""
    if values.shape[axis] in (1, values.size):
        return None
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    base = np.moveaxis(drawn, axis, 0).reshape(values.shape[axis], -1)
    largest = np.abs(base).argmax(axis=1)[:, None]
    scale = (np.take_along_axis(rows, largest, 1) / np.take_along_axis(base, largest, 1)).ravel()
    if np.allclose(values, drawn * along(scale, axis, values.ndim), rtol=1e-5, atol=1e-9):
        return scale
    return None
