"""Names that the files of this folder share."""

from __future__ import annotations

import onnx_graphsurgeon as gs

MICROSOFT = "com.microsoft"
OWN = "onnxcam"
"""Domain of operators that are only ever differentiated, never put into a file."""


def given(node: gs.Node, i: int) -> gs.Tensor | None:
    """An optional input of a node, None where it is left out."""
    return node.inputs[i] if i < len(node.inputs) and node.inputs[i].name else None
