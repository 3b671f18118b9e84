"""Sizes that a runtime's own inference mistakes, stated in the graph.

ONNX Runtime loads a model with the sizes that onnx infers and then may compute others
(`onnxcam.graph.window_shapes`). It only warns of that, but refuses what is appended to the model
with the sizes that are right. A `Reshape` behind the node states them, at no cost.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxcam.graph.protos import Names, names_in
from onnxcam.graph.shapes import Facts
from onnxcam.graph.window_shapes import is_doubtful


def with_stated_windows(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy with a `Reshape` behind every window of doubtful size."""
    doubtful = [node.output[0] for node in model.graph.node if is_doubtful(node)]
    if not doubtful:
        return model
    tensors = Facts(model).tensors
    stated = onnx.ModelProto()
    stated.CopyFrom(model)
    names = Names(names_in(model.graph))
    del stated.graph.node[:]
    for node in model.graph.node:
        made = stated.graph.node.add()
        made.CopyFrom(node)
        info = tensors.get(node.output[0]) if node.output and node.output[0] in doubtful else None
        if info is None or info.shape is None:
            continue
        # 0 is the dimension as it is: what only the run knows, nobody mistakes.
        dims = [0, 0, *(dim if isinstance(dim, int) else 0 for dim in info.shape[2:])]
        name = node.output[0]
        made.output[0] = names.free(f"{name}/window")
        size = numpy_helper.from_array(np.array(dims, np.int64), names.free(f"{name}/size"))
        stated.graph.initializer.append(size)
        stated.graph.node.append(helper.make_node("Reshape", [made.output[0], size.name], [name]))
    return stated
