"""The end of a network that tells classes apart at every position: segmentation, dense maps."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.features import FeatureMap, as_feature_map
from onnxcam.graph.head import ACTIVATIONS, before_decision, before_rounding, outputs_of
from onnxcam.graph.network import Network, is_float, producer
from onnxcam.graph.picture import SPATIAL
from onnxcam.graph.roles import Roles, follow_roles

_SHAPING = {"Identity", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape"}
_SHAPING |= {"QuantizeLinear", "DequantizeLinear"}
_RESIZING = {"Resize", "Upsample"}


@dataclass(frozen=True)
class DenseHead:
    """The scores that a model gives its classes at every position.

    `features` is the tensor of logits with its channel and spatial axes. One channel decides
    between two classes, 0 (background) where it is negative and 1.
    """

    features: FeatureMap

    @property
    def logits(self) -> gs.Tensor:
        return self.features.tensor

    @property
    def channels(self) -> int:
        return int(self.logits.shape[self.features.channel])

    @property
    def classes(self) -> int:
        return max(2, self.channels)


def find_dense_head(network: Network, output: str | None = None) -> DenseHead:
    """The first output that holds a score a class and position, or the output of that name.

    A final ArgMax is stepped over, and a Softmax or Sigmoid, whose gradient fades where the model
    is sure; what enlarges the map is stepped over only on the way to one of those.
    Raises `ModelError` when there is no such output.
    """
    roles = follow_roles(network)
    outputs = outputs_of(network, output)
    for tensor in outputs:
        for candidate in _candidates(before_decision(tensor)):
            features = _as_map(candidate, roles.get(candidate.name))
            if features is not None:
                return DenseHead(features)
    made = ", ".join(f"{t.name} {t.shape}" for t in outputs)
    raise ModelError(
        f"no output holds one score a class and position, shape (N, classes, h, w) or "
        f"(N, h, w, classes); the model's outputs: {made}"
    )


def _candidates(tensor: gs.Tensor) -> list[gs.Tensor]:
    """The tensor in front of the activation, if one ends the map; the map itself; and what it is
    merely another shape of."""
    shaped = [tensor]
    activated: gs.Tensor | None = None
    node = producer(tensor)
    while node is not None and node.op in _SHAPING | _RESIZING | set(ACTIVATIONS):
        tensor = node.inputs[0]
        if node.op in ACTIVATIONS:
            activated = tensor
            break
        shaped.append(tensor)
        if node.op in _RESIZING and not _leads_to_activation(tensor):
            break
        node = producer(tensor)
    found = shaped if activated is None else [activated, *shaped]
    unrounded = [before_rounding(one) for one in found]
    return [new if is_float(new) else old for old, new in zip(found, unrounded, strict=True)]


def _leads_to_activation(tensor: gs.Tensor) -> bool:
    node = producer(tensor)
    while node is not None and node.op in _SHAPING | _RESIZING:
        node = producer(node.inputs[0])
    return node is not None and node.op in ACTIVATIONS


def _as_map(tensor: gs.Tensor, roles: Roles | None) -> FeatureMap | None:
    """The tensor as a map of class scores; where its axes are not known, the shorter one of the
    second and the last is that of the classes."""
    shape = tensor.shape
    if shape is None or len(shape) not in SPATIAL or not is_float(tensor):
        return None
    features = as_feature_map(tensor, roles)
    if features is None and len(shape) > 3:
        known = [shape[axis] for axis in (1, -1)]
        last = isinstance(known[1], int) and (not isinstance(known[0], int) or known[1] < known[0])
        rank = len(shape)
        spatial = range(1 - rank, -1) if last else range(2 - rank, 0)
        features = FeatureMap(tensor, -1 if last else 1 - rank, tuple(spatial))
    if features is None or features.is_tokens:
        return None
    if not isinstance(shape[features.channel], int):
        return None
    if all(shape[axis] == 1 for axis in features.spatial):
        return None
    return features
