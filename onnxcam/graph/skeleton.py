"""A model without its weights: all that inferring shapes takes.

The model's own `value_info`, which quantisation tools leave stale, is left out as well.
"""

from __future__ import annotations

import numpy as np
import onnx

from onnxcam.graph.contrib_shapes import name_apart
from onnxcam.graph.protos import stored_constant
from onnxcam.graph.sanity import LARGEST_KEPT_CONSTANT


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model in which weights have become inputs of the same type and shape."""
    skeleton = onnx.ModelProto()
    skeleton.ir_version = max(model.ir_version, 4)  # initializers need not be inputs from 4 on
    skeleton.opset_import.extend(model.opset_import)
    skeleton.functions.extend(model.functions)
    graph = skeleton.graph
    graph.name = model.graph.name or "graph"
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    stored = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(value for value in model.graph.input if value.name not in stored)
    graph.output.extend(model.graph.output)
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            # The checker insists on one, ONNX Runtime does not; it is inferred anew anyway.
            value.type.tensor_type.shape.SetInParent()
    for tensor in model.graph.initializer:
        if _numel(tensor) <= LARGEST_KEPT_CONSTANT:
            graph.initializer.append(tensor)
        else:
            graph.input.append(_value_info(tensor.name, tensor))
    for node in model.graph.node:
        weight = stored_constant(node)
        if weight is not None and _numel(weight) > LARGEST_KEPT_CONSTANT:
            graph.input.append(_value_info(node.output[0], weight))
        else:
            copy = graph.node.add()
            copy.CopyFrom(node)
            copy.ClearField("metadata_props")
            if copy.op_type == "STFT" and not copy.attribute:
                # The default is 1, though onnx infers as if it were 0.
                copy.attribute.append(onnx.helper.make_attribute("onesided", 1))
    name_apart(skeleton)
    return skeleton


def _numel(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))


def _value_info(name: str, tensor: onnx.TensorProto) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))
