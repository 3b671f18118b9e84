"""Output sizes of poolings and transposed convolutions, as ONNX Runtime computes them.

onnx infers others in corners of the specification: it counts a last window that lies in the
padding altogether (`ceil_mode`), it pads dilated windows to SAME, and it forgets the
`output_padding` of a transposed convolution there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import helper

from onnxcam.graph.protos import STANDARD, attributes

_POOLINGS = ("AveragePool", "LpPool", "MaxPool")

Types = Mapping[str, onnx.TypeProto]


def window_outputs(node: onnx.NodeProto, types: Types) -> dict[str, onnx.TypeProto]:
    """Types of the outputs of a pooling or transposed convolution whose inputs are known."""
    if node.domain not in STANDARD or node.op_type not in (*_POOLINGS, "ConvTranspose"):
        return {}
    inputs = [_dims(types.get(name)) for name in node.input[:2]]
    x = inputs[0]
    if x is None or (node.op_type == "ConvTranspose" and inputs[1] is None):
        return {}
    attrs = attributes(node)
    try:
        if node.op_type == "ConvTranspose":
            w = inputs[1]
            assert w is not None
            shape = [x[0], w[1] * attrs.get("group", 1), *_transposed(attrs, x[2:], w[2:])]
        else:
            shape = [*x[:2], *_pooled(attrs, x[2:])]
    except IndexError:  # of ranks that do not fit each other, onnx says what is wrong
        return {}
    kind = types[node.input[0]].tensor_type.elem_type
    found = zip(node.output, (kind, onnx.TensorProto.INT64), strict=False)
    return {name: helper.make_tensor_type_proto(of, shape) for name, of in found if name}


def is_doubtful(node: onnx.NodeProto) -> bool:
    """Whether onnx may infer another output size than ONNX Runtime computes."""
    if node.domain not in STANDARD or node.op_type not in (*_POOLINGS, "ConvTranspose"):
        return False
    attrs = attributes(node)
    same = attrs.get("auto_pad", b"NOTSET").startswith(b"SAME")
    kernel = attrs.get("kernel_shape")
    if kernel is None:
        return same
    rank = len(kernel)
    strides, dilations = attrs.get("strides", [1] * rank), attrs.get("dilations", [1] * rank)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if node.op_type == "ConvTranspose":
        longer = all(extent >= stride for extent, stride in zip(extents, strides, strict=True))
        plain = longer and not any(attrs.get("output_padding", []))
        return same and "output_shape" not in attrs and not plain
    if same:
        return max(dilations) > 1 or bool(attrs.get("ceil_mode", 0))
    ends = attrs.get("pads", [0] * (2 * rank))[rank:]
    return bool(attrs.get("ceil_mode", 0)) and any(  # a window may begin in the padding behind
        end + stride > extent for end, stride, extent in zip(ends, strides, extents, strict=True)
    )


def replace_misjudged(model: onnx.ModelProto, inferred: Types) -> bool:
    """Replace the first node whose size onnx misjudged by something of the right size.

    Returns whether there was one: then what lies behind it has to be inferred again.
    """
    for node in model.graph.node:
        for name, right in window_outputs(node, inferred).items():
            if _dims(inferred.get(name)) == _dims(right):
                continue
            tensor = right.tensor_type
            stand_in = helper.make_node(
                "RandomUniform", [], [name], shape=_dims(right), dtype=tensor.elem_type
            )
            node.CopyFrom(stand_in)
            return True
    return False


def _dims(kind: onnx.TypeProto | None) -> list[int] | None:
    """A shape of numbers, if that is known."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return [d.dim_value for d in dims] if all(d.HasField("dim_value") for d in dims) else None


def _pooled(attrs: Mapping[str, Any], sizes: Sequence[int]) -> list[int]:
    auto, rank = attrs.get("auto_pad", b"NOTSET").decode(), len(sizes)
    pads = attrs.get("pads", [0] * (2 * rank)) if auto == "NOTSET" else [0] * (2 * rank)
    strides = attrs.get("strides", [1] * rank)
    dilations = attrs.get("dilations", [1] * rank)
    lengths = []
    for k, size in enumerate(sizes):
        kernel, stride = attrs["kernel_shape"][k], strides[k]
        begin, end = pads[k], pads[rank + k]
        if auto.startswith("SAME"):  # for the window without its dilation
            total = (-(-size // stride) - 1) * stride + kernel - size  # may be negative
            begin = int((total if auto == "SAME_UPPER" else total + 1) / 2)
            end = total - begin
        room = size + begin + end - dilations[k] * (kernel - 1) - 1
        length = int(room / stride) + 1  # towards zero: one window of an input that is too short
        if attrs.get("ceil_mode", 0):
            length = -(-room // stride) + 1
            if (length - 1) * stride >= size + begin:
                length -= 1
        lengths.append(max(0, length))
    return lengths


def _transposed(
    attrs: Mapping[str, Any], sizes: Sequence[int], weights: Sequence[int]
) -> list[int]:
    rank, auto = len(sizes), attrs.get("auto_pad", b"NOTSET").decode()
    if attrs.get("output_shape"):
        return list(attrs["output_shape"])[-rank:]
    strides = attrs.get("strides", [1] * rank)
    dilations = attrs.get("dilations", [1] * rank)
    extra = attrs.get("output_padding", [0] * rank)
    pads = attrs.get("pads", [0] * (2 * rank)) if auto == "NOTSET" else [0] * (2 * rank)
    kernel = attrs.get("kernel_shape", weights)
    lengths = []
    for k, size in enumerate(sizes):
        length = (size - 1) * strides[k] + extra[k] + dilations[k] * (kernel[k] - 1) + 1
        same = auto.startswith("SAME")
        lengths.append(
            min(length, size * strides[k]) if same else length - pads[k] - pads[rank + k]
        )
    return lengths
