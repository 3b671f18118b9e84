"""Depth and number: what nests, or there are thousands of."""

from __future__ import annotations

import numpy as np
import onnx
from builders import classifier, conv_trunk, head
from graphs import Build
from malformed.making import Make, answered, inserted, refused
from onnx import helper

MANY = 5000


def nested(levels: int) -> Make:
    """`If` in `If` in `If`."""

    def make() -> onnx.ModelProto:
        b = Build()
        conv_trunk(b)
        b.weight("yes", np.array(True))
        node = helper.make_node("Identity", ["features"], [f"x{levels}"])
        for level in reversed(range(levels)):
            made = helper.make_tensor_value_info(node.output[0], 1, [1, 8, 8, 8])
            body = helper.make_graph([node], f"body{level}", [], [made])
            other = helper.make_node("Neg", ["features"], [f"other{level}"])
            result = helper.make_tensor_value_info(f"other{level}", 1, [1, 8, 8, 8])
            neg = helper.make_graph([other], f"neg{level}", [], [result])
            node = helper.make_node("If", ["yes"], [f"x{level}"], then_branch=body, else_branch=neg)
        b.nodes.append(node)
        head(b, "x0")
        return b.model()

    return make


def nested_bytes(levels: int) -> Make:
    """The same, deeper than protobuf itself would write it."""

    def varint(number: int) -> bytes:
        more = number >> 7
        return bytes([number & 127 | (128 if more else 0)]) + (varint(more) if more else b"")

    def opened(number: int, length: int) -> bytes:
        return bytes([number << 3 | 2]) + varint(length)

    def make() -> bytes:
        name, op = opened(1, 11) + b"then_branch", opened(4, 2) + b"If"
        before: list[bytes] = []
        length = 0
        for _ in range(levels):  # from the innermost graph outwards
            attribute = len(opened(6, length)) + length + len(name)
            node = len(op) + len(opened(5, attribute)) + attribute
            before.append(opened(1, node) + op + opened(5, attribute) + opened(6, length))
            length = len(opened(1, node)) + node
        graph = b"".join(reversed(before)) + name * levels
        return classifier().SerializeToString() + opened(7, len(graph)) + graph

    return make


def many_inputs() -> onnx.ModelProto:
    model = classifier()
    more = (helper.make_tensor_value_info(f"input{k}", 1, [1]) for k in range(MANY))
    model.graph.input.extend(more)
    return model


def many_outputs() -> onnx.ModelProto:
    model = classifier()
    model.graph.output.extend(
        helper.make_tensor_value_info("features", 1, [1, 8, 8, 8]) for _ in range(MANY)
    )
    return model


def many_opsets() -> onnx.ModelProto:
    model = classifier()
    model.opset_import.extend(helper.make_opsetid(f"domain{k}", 1) for k in range(MANY))
    return model


def doubling() -> onnx.ModelProto:
    """x + x, sixty times: 2^60 ways through sixty nodes."""
    b = Build()
    last = conv_trunk(b)
    for k in range(60):
        last = b.op("Add", [last, last], f"twice{k}")
    head(b, last)
    return b.model()


refused(
    "not a complete ONNX file",
    nested_hundreds=nested_bytes(300),
    nested_100_000=nested_bytes(100_000),
)
refused(r"needs more inputs .*input0, .* \.\. .*use Explainer\.run", many_inputs=many_inputs)
answered(
    nested_20=nested(20),
    many_outputs=many_outputs,
    many_operands=inserted("Sum", *["relu1"] * MANY),
    many_opsets=many_opsets,
    doubling=doubling,
)
