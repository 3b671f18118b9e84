"""A model with all its real tensors in one floating point type."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxcam.graph.external import tensors_of, values
from onnxcam.graph.protos import bodies_of

_REAL = {
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16,
    TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E4M3FNUZ,
    TensorProto.FLOAT8E5M2FNUZ,
}  # fmt: skip
_NAMES_TYPE = ("to", "dtype", "output_dtype")
"""Attributes that name the element type of an output."""


def in_type(model: onnx.ModelProto, elem_type: int) -> onnx.ModelProto:
    """A copy of a model in which every real tensor has the given element type."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _convert(made.graph, elem_type)
    return made


def _convert(graph: onnx.GraphProto, elem_type: int) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    for tensor in tensors_of(graph):
        if tensor.data_type in _REAL - {elem_type}:
            value = values(tensor).astype(dtype)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in _REAL:
            value.type.tensor_type.elem_type = elem_type
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _NAMES_TYPE and attribute.i in _REAL:
                attribute.i = elem_type
        for body in bodies_of(node):
            _convert(body, elem_type)
