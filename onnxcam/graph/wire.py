"""Where the bytes of weights are in a serialized model.

Protobuf's wire format as far as that takes (protobuf.dev/programming-guides/encoding): a message is
a row of fields, each a key, its number and wire type, and a value.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

Span = tuple[int, int]
"""First byte, and the one behind the last."""

_VARINT, _EIGHT_BYTES, _COUNTED, _FOUR_BYTES = 0, 1, 2, 5

_GRAPH: int = onnx.ModelProto.DESCRIPTOR.fields_by_name["graph"].number
_INITIALIZER: int = onnx.GraphProto.DESCRIPTOR.fields_by_name["initializer"].number
_RAW_DATA: int = onnx.TensorProto.DESCRIPTOR.fields_by_name["raw_data"].number


def raw_data_of_initializers(data: bytes) -> list[Span | None]:
    """Of a `ModelProto`'s bytes: where each initializer's `raw_data` is, None if it has none.

    In the order of `graph.initializer`. Raises `ValueError` for bytes that are no such message.
    """
    found: list[Span | None] = []
    for graph in _fields(data, (0, len(data)), _GRAPH):  # several are merged into one
        for tensor in _fields(data, graph, _INITIALIZER):
            spans = list(_fields(data, tensor, _RAW_DATA))
            found.append(spans[-1] if spans else None)  # of one field the last counts
    return found


def _fields(data: bytes, within: Span, wanted: int) -> Iterator[Span]:
    """The values of a message's fields of one number, which are counted bytes."""
    at, end = within
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _EIGHT_BYTES:
            at += 8
        elif kind == _FOUR_BYTES:
            at += 4
        elif kind == _COUNTED:
            length, at = _varint(data, at)
            if number == wanted:
                yield at, at + length
            at += length
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
    if at != end:
        raise ValueError(f"a field ends at byte {at}, its message at {end}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first, and the highest bit where another one follows."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("a number is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
