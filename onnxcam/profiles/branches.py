"""Both branches of an If, and the choice behind them: static graphs have no branches."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter


def both_branches(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """Where(condition, then, else), for branches whose outputs have the same shape.

    Raises `ModelError` where they may not.
    """
    branches = [node.attrs["then_branch"], node.attrs["else_branch"]]
    then, other = (list(branch.outputs) for branch in branches)
    if any(a.shape != b.shape or a.shape is None for a, b in zip(then, other, strict=True)):
        raise ModelError(
            "profile 'portable': an If whose branches differ in shape is needed; fix the model's "
            "input size, or choose another method"
        )
    for branch in branches:
        e.nodes.extend(branch.nodes)
    return [e.where(node.inputs[0], a, b) for a, b in zip(then, other, strict=True)]
