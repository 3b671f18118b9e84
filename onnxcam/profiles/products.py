"""Products with a weight that the model multiplies by as well, the other way round."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import producer


def apart(e: Emitter, node: gs.Node) -> list[gs.Tensor] | None:
    """x W^T of a square W as (x / 2) (2 W)^T, which is the same to the last bit.

    OpenVINO takes a square weight and its transpose for one and the same (seen in 2024.4 and
    2026.4), and gives x W instead, without a word.
    """
    x, other = node.inputs
    turned = producer(other)
    if turned is None or turned.op != "Transpose" or len(other.shape) != 2:
        return None
    weight = turned.inputs[0]
    if not isinstance(weight, gs.Constant) or other.shape[0] != other.shape[1]:
        return None
    return [e.matmul(e.mul(x, 0.5), e.transpose(e.mul(weight, 2.0), (1, 0)))]
