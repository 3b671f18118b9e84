"""Matrix products whose weights alone are quantised, in blocks of a few bits a number."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, given
from onnxcam.graph.protos import MICROSOFT


@lowering("MatMulNBits", wrt=(0,), domain=MICROSOFT)
def matmul_nbits(e: Emitter, node: gs.Node) -> gs.Tensor:
    """A W^T + bias with W (N, K), stored as (N, blocks, bytes) with a scale a block.

    W is unpacked in the graph, from weights only: a runtime does it once, when it loads the model.
    """
    if given(node, 4) is not None:
        raise UnsupportedOperatorError(
            f"{describe(node)} has its weights in another order (g_idx), which has no derivative "
            f"here; quantise the model without reordering"
        )
    bits, block = node.attrs.get("bits", 4), node.attrs["block_size"]
    k, n = node.attrs["K"], node.attrs["N"]
    blocks = -(-k // block)
    packed = e.reshape(node.inputs[1], [n, blocks, block * bits // 8])
    q = _unpacked(e, packed, bits)
    scale = e.reshape(e.cast(node.inputs[2], np.float32), [n, blocks, 1])
    weights = e.mul(e.sub(q, _zero_points(e, node, bits, n, blocks)), scale)
    weights = e.slice(e.reshape(weights, [n, blocks * block]), -1, 0, k)
    y = e.matmul(node.inputs[0], e.transpose(weights, (1, 0)))
    bias = given(node, 5)
    return y if bias is None else e.add(y, bias)


def _zero_points(e: Emitter, node: gs.Node, bits: int, n: int, blocks: int) -> gs.Tensor | float:
    """One a block, packed like the weights or as real numbers; the middle of the range if none."""
    given_points = given(node, 3)
    if given_points is None:
        return float(2 ** (bits - 1))
    if given_points.dtype != np.uint8:
        return e.reshape(e.cast(given_points, np.float32), [n, blocks, 1])
    row = -(-blocks * bits // 8)
    points = _unpacked(e, e.reshape(given_points, [n, row]), bits)
    return e.unsqueeze(e.slice(points, -1, 0, blocks), [-1])


def _unpacked(e: Emitter, packed: gs.Tensor, bits: int) -> gs.Tensor:
    """The numbers in the bytes along the last axis, the lowest bits first, as float32."""
    bytes_ = e.cast(packed, np.float32)
    if bits == 8:
        return bytes_
    parts = []
    for shift in range(0, 8, bits):
        above = e.unary("Floor", e.mul(bytes_, 2.0**-shift)) if shift else bytes_
        rest = e.unary("Floor", e.mul(bytes_, 2.0 ** -(shift + bits)))
        parts.append(e.unsqueeze(e.sub(above, e.mul(rest, 2.0**bits)), [-1]))
    *front, length = packed.shape
    return e.reshape(e.concat(parts, -1), [*front, length * (8 // bits)])
