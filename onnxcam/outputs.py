"""The outputs that explaining adds to a model's own: their names, and those that a target has."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx_graphsurgeon as gs

from onnxcam.graph.network import Network
from onnxcam.targets import Explained

RAW, OVERLAY = "cam", "cam_overlay"
"""The method's map, and a picture of it."""

INDEX, SCORE, PROBABILITY, SCALAR, BOX = (
    "cam_target", "cam_score", "cam_probability", "cam_scalar", "cam_box",
)  # fmt: skip
"""What is known of a target: the fields of `Explained`."""


def scalars_of(explained: Explained) -> dict[str, gs.Tensor]:
    """What is known of a target's scalars, by name."""
    known = {
        SCORE: explained.score,
        PROBABILITY: explained.probability,
        SCALAR: explained.scalar,
    }
    return {name: tensor for name, tensor in known.items() if tensor is not None}


def known_of(explained: Explained) -> dict[str, gs.Tensor]:
    """All that is known of a target, by name."""
    box = {} if explained.box is None else {BOX: explained.box}
    return {INDEX: explained.index} | scalars_of(explained) | box


def fetched(every: Sequence[str], network: Network, own: Collection[str] | None) -> Sequence[str]:
    """Of a session's outputs all that were added to the model's; of its own those in `own`, or
    all of them for None."""
    if own is None:
        return every
    others = {tensor.name for tensor in network.graph.outputs}.difference(own)
    return [name for name in every if name not in others]
