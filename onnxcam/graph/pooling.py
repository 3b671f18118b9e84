"""Feature maps of which no more is read than their mean over all places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.features import FeatureMap
from onnxcam.graph.network import Network, given, operands


@dataclass(frozen=True)
class Pooled:
    """The mean of a feature map over all places: one number a channel, along axis `channel`."""

    tensor: gs.Tensor
    channel: int

    def laid_out(self, means: np.ndarray) -> np.ndarray:
        """Means (n, C) as values of the tensor."""
        lengths = [1] * len(self.tensor.shape)
        lengths[0], lengths[self.channel] = means.shape
        return means.reshape(lengths)


def pooled(
    network: Network, features: FeatureMap, emitted: Iterable[gs.Node] = ()
) -> Pooled | None:
    """What pools a feature map in float32, or None where more of it is read than its mean.

    On the way the map may be copied or transposed. Extra tokens are no places, so that a mean
    over them too is not meant.
    """
    tensor, rank = features.tensor, len(features.tensor.shape)
    if tensor.dtype != np.dtype(np.float32) or features.prefix or features.suffix:
        return None
    nodes = [*network.graph.nodes, *emitted]
    places, channel = {rank + axis for axis in features.spatial}, rank + features.channel
    while True:
        readers = [node for node in nodes if any(t.name == tensor.name for t in operands(node))]
        if len(readers) != 1 or any(t.name == tensor.name for t in network.graph.outputs):
            return None
        node = readers[0]
        if node.op == "Transpose":
            order = list(node.attrs.get("perm", range(rank)[::-1]))
            places, channel = {order.index(axis) for axis in places}, order.index(channel)
        elif node.op != "Identity":
            break
        tensor = node.outputs[0]
    if channel == 0 or places != _averaged(network, node, rank):
        return None
    dropped = 0 if node.attrs.get("keepdims", 1) else sum(axis < channel for axis in places)
    found = node.outputs[0]
    kept_rank = rank if node.attrs.get("keepdims", 1) else rank - len(places)
    if found.shape is None or len(found.shape) != kept_rank:
        return None
    return Pooled(found, channel - dropped)


def _averaged(network: Network, node: gs.Node, rank: int) -> set[int] | None:
    """The axes that a node takes the mean over."""
    if node.domain not in ("", None, "ai.onnx"):
        return None
    if node.op == "GlobalAveragePool":
        return set(range(2, rank))
    if node.op != "ReduceMean":
        return None
    axes: Sequence[int] | None = node.attrs.get("axes")
    listed = given(node, 1)
    if listed is not None:
        value = network.value(listed)
        axes = None if value is None else value.ravel().tolist()
    return None if axes is None else {axis % rank for axis in axes}
