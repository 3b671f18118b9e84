"""How many elements a tensor has, by its shape."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter


def multiplied(e: Emitter, node: gs.Node) -> list[gs.Tensor]:
    """The product of the shape's entries: OpenVINO and TensorRT lack Size in places."""
    lengths = e.op("Shape", node.inputs[0], shape=[len(node.inputs[0].shape)], dtype=np.int64)
    return [e.op("ReduceProd", lengths, shape=[], keepdims=0)]
