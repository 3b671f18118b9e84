"""The outputs that explaining adds to a model's own: their names, and those that a target has."""

from __future__ import annotations

import onnx_graphsurgeon as gs

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
