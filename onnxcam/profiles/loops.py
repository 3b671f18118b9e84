"""Loops written out: TensorRT and ONNX Runtime Web run them slowly or not at all."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import with_tensors


def unrolled(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """Every step of a Loop of known length; behind the last one that it would take, values stay.

    Raises `ModelError` where the length is open, or where the loop gathers something each step.
    """
    steps, go_on, *carried = node.inputs
    body: gs.Graph = node.attrs["body"]
    if not isinstance(steps, gs.Constant) or len(body.outputs) != 1 + len(carried):
        raise ModelError("profile 'portable': a Loop of open length is needed")
    number, asked, *formal = body.inputs
    values = list(carried)
    for step in range(int(steps.values)):
        given = {number.name: e.constant(step, np.int64), asked.name: go_on}
        given |= {tensor.name: value for tensor, value in zip(formal, values, strict=True)}
        go, *made = _copied(e, body, given)
        if not (isinstance(go_on, gs.Constant) and bool(go_on.values)):
            made = [e.where(go_on, new, old) for new, old in zip(made, values, strict=True)]
            go = e.op("And", go_on, go, shape=[], dtype=np.dtype(bool))
        go_on, values = go, made
    return values


def _copied(e: Emitter, body: gs.Graph, given: dict[str, gs.Tensor]) -> list[gs.Tensor]:
    """The body's nodes once more, for other inputs: its outputs."""
    known = dict(given)
    for node in body.nodes:
        outputs = [gs.Variable(e.name(node.op), t.dtype, t.shape) for t in node.outputs]
        inputs = [known.get(t.name, t) for t in node.inputs]
        e.nodes.append(with_tensors(node, inputs=inputs, outputs=outputs))
        e.nodes[-1].name = e.name(node.op)
        known |= {old.name: new for old, new in zip(node.outputs, outputs, strict=True)}
    return [known.get(t.name, t) for t in body.outputs]
