"""A model with all its floats in one other type: float64, to take differences of it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
"""What a derivative is taken of. The 8 and 4 bit types stand on grids, like integers."""

_NAMED = ("to", "dtype", "output_dtype", "output_datatype", "softmax_precision")
"""Attributes that hold an element type."""


def is_differentiable(elem_type: int) -> bool:
    return elem_type in FLOATS


def with_floats(model: onnx.ModelProto, elem_type: int) -> onnx.ModelProto:
    """A copy of the model whose floats are all of one type, those inside nodes included."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _convert_graph(copy.graph, elem_type)
    for function in copy.functions:
        _convert_nodes(function.node, elem_type)
    return copy


def _convert_graph(graph: onnx.GraphProto, elem_type: int) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        _convert_type(value.type, elem_type)
    for tensor in graph.initializer:
        _convert_tensor(tensor, elem_type)
    _convert_nodes(graph.node, elem_type)


def _convert_nodes(nodes: list[onnx.NodeProto], elem_type: int) -> None:
    for node in nodes:
        if node.op_type == "ConstantOfShape" and not node.attribute:  # float32 by default
            zero = numpy_helper.from_array(np.zeros(1, np.float32))
            node.attribute.append(helper.make_attribute("value", zero))
        for attribute in node.attribute:
            if attribute.name in _NAMED and attribute.i in FLOATS:
                attribute.i = elem_type
            elif attribute.HasField("t"):
                _convert_tensor(attribute.t, elem_type)
            elif attribute.HasField("g"):
                _convert_graph(attribute.g, elem_type)
            elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
                value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
                tensor = numpy_helper.from_array(np.asarray(value, np.float32))
                _convert_tensor(tensor, elem_type)
                attribute.CopyFrom(helper.make_attribute("value", tensor))


def _convert_type(kind: onnx.TypeProto, elem_type: int) -> None:
    if kind.HasField("sequence_type"):
        _convert_type(kind.sequence_type.elem_type, elem_type)
    elif kind.HasField("optional_type"):
        _convert_type(kind.optional_type.elem_type, elem_type)
    elif kind.tensor_type.elem_type in FLOATS:
        kind.tensor_type.elem_type = elem_type


def _convert_tensor(tensor: onnx.TensorProto, elem_type: int) -> None:
    if tensor.data_type in FLOATS:
        value = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(elem_type))
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
