"""DynamicQuantizeLSTM: an LSTM whose weights are stored as integers, transposed."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.quantization import dequantized
from onnxcam.autodiff.rules.recurrent import recurrent
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import given
from onnxcam.graph.protos import MICROSOFT


@lowering("DynamicQuantizeLSTM", wrt=(0, 3, 5, 6, 7), domain=MICROSOFT)
def dynamic_quantize_lstm(e: Emitter, node: gs.Node) -> Sequence[gs.Tensor | None]:
    """The LSTM of the real weights; a step's inputs are quantised inside, by scales that fit."""
    weights = [_weights(e, node, i) for i in (1, 2)]
    inputs = [node.inputs[0], *weights, *node.inputs[3:8]]
    return recurrent(e, gs.Node("LSTM", node.name, node.attrs, inputs, list(node.outputs)))


def _weights(e: Emitter, node: gs.Node, i: int) -> gs.Tensor:
    """W or R as (directions, gates, columns); its scale and zero point are inputs behind 7.

    They are one a direction, or one a direction and gate.
    """
    at = 8 + 2 * (i - 1)
    parameters = [node.inputs[at], given(node, at + 1)]
    scale, zero_point = (None if p is None else _along_last(e, p) for p in parameters)
    return e.transpose(dequantized(e, node.inputs[i], scale, zero_point), (0, 2, 1))


def _along_last(e: Emitter, parameter: gs.Tensor) -> gs.Tensor:
    """(D,) as (D, 1, 1), (D, gates) as (D, 1, gates)."""
    return e.unsqueeze(parameter, [1, 2] if len(parameter.shape) == 1 else [1])
