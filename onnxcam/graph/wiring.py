"""Every tensor made once, and every one that is read made somewhere.

onnx's checker asks for the same, but says what is missing as a fault of the nodes' order, and only
once they are in order.
"""

from __future__ import annotations

import onnx

from onnxcam.errors import ModelError
from onnxcam.graph.protos import bodies_of, named

DEEPEST = 31
"""Bodies in bodies. protobuf writes messages in messages 100 deep, and a body is three of them."""


def require_wired(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself; raises `ModelError` naming what is made twice, or read and not made."""
    _require_wired(model.graph, [])
    return model


def _require_wired(graph: onnx.GraphProto, outside: list[set[str]]) -> None:
    if len(outside) > DEEPEST:
        raise ModelError(
            f"the model's control flow is nested more than {DEEPEST} deep, which no file can hold; "
            f"build it otherwise"
        )
    known = {value.name for value in (*graph.input, *graph.initializer)}
    known.update(tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        for name in filter(None, node.output):
            if name in known:
                raise _invalid(f"{named(node)} makes '{name}', which is there already")
            known.add(name)
    scopes = [known, *outside]

    def is_made(name: str) -> bool:
        return not name or any(name in scope for scope in scopes)

    for node in graph.node:
        for name in node.input:
            if not is_made(name):
                raise _invalid(f"{named(node)} reads '{name}', which nothing makes")
        for body in bodies_of(node):
            _require_wired(body, scopes)
    for value in graph.output:
        if not is_made(value.name):
            raise _invalid(f"'{value.name}' is put out, though nothing makes it")


def _invalid(reason: str) -> ModelError:
    return ModelError(f"the model is not valid ONNX: {reason}; export it again")
