"""Broadcasting as it was before opset 7, said in the way of today.

An operand's dimensions were matched from an `axis` on, or, for the slopes of `PRelu`, with the
channels; today they are matched from the last one on. onnx's own converter leaves slopes as they
are and appends one dimension too many to the others, so that both are put right before it comes.
"""

from __future__ import annotations

import onnx
from onnx import helper

from onnxcam.errors import ModelError
from onnxcam.graph.dims import Shape
from onnxcam.graph.protos import named, nodes_of, opset_of
from onnxcam.graph.shapes import Facts


def aligned(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy in which an `Unsqueeze` says what an operand stands for.

    Raises `ModelError` where the ranks that takes are unknown, and for the `Scan` of opset 8.
    """
    opset = opset_of(model)
    if opset == 8 and any(node.op_type == "Scan" for node in nodes_of(model.graph.node)):
        raise ModelError(
            "the model uses the Scan of opset 8, which onnx cannot convert to a newer one; "
            "export it again with opset 9 or newer"
        )
    if opset >= 7 or not any(_axis(node) is not None for node in model.graph.node):
        return model
    tensors = Facts(model).tensors
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    for k, node in enumerate(model.graph.node):
        axis = _axis(node)
        if axis is not None:
            x, operand = (tensors[name].shape if name in tensors else None for name in node.input)
            behind = _behind(node, axis, x, operand)
            if behind:
                name = f"{node.input[1]}/aligned_{k}"
                made = helper.make_node("Unsqueeze", [node.input[1]], [name], axes=behind)
                copy.graph.node.append(made)
                node = _with_operand(node, name)
        copy.graph.node.append(node)
    return copy


def _axis(node: onnx.NodeProto) -> int | None:
    """The axis of the first operand with which the second one's first is matched, if it says so."""
    if node.op_type == "PRelu":
        return 1
    attributes = {a.name: a.i for a in node.attribute}
    return attributes.get("axis") if attributes.get("broadcast") else None


def _behind(node: onnx.NodeProto, axis: int, x: Shape | None, operand: Shape | None) -> list[int]:
    """The axes of length 1 that belong behind an operand's own."""
    if node.op_type == "PRelu" and operand is not None and (len(operand) != 1 or operand[0] == 1):
        return []
    if x is None or operand is None:
        raise ModelError(
            f"{named(node)} broadcasts as it was usual before opset 7, and the shapes of what it "
            f"reads are unknown; export the model again with opset 7 or newer"
        )
    return list(range(len(operand), len(x) - axis % max(len(x), 1)))


def _with_operand(node: onnx.NodeProto, name: str) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[1] = name
    kept = [attribute for attribute in node.attribute if attribute.name != "axis"]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    return copy
