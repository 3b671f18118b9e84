"""Types behind `If` and `Loop`, whose outputs onnx leaves without a shape.

A branch is taken alone where its condition is known; a loop's state keeps its shape where the
body gives back what it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from onnxcam.graph.protos import attributes, bodies_of

Types = dict[str, onnx.TypeProto]
Values = dict[str, np.ndarray]
Interpret = Callable[[onnx.ModelProto], tuple[Types, Values]]


def infer_outputs(
    node: onnx.NodeProto, model: onnx.ModelProto, types: Types, values: Values, walk: Interpret
) -> Types:
    """Types of the outputs of an `If` or `Loop`, as far as they can be told; `walk` infers all
    tensors of a model with static inputs."""
    bodies = attributes(node)

    def inside(name: str, formal: Mapping[str, onnx.TypeProto]) -> list[onnx.TypeProto | None]:
        found, _ = walk(_alone(bodies[name], model, formal, types, values))
        return [found.get(output.name) for output in bodies[name].output]

    results: list[onnx.TypeProto | None] = []
    if node.op_type == "If":
        condition = values.get(node.input[0])
        if condition is not None:
            results = inside("then_branch" if condition.all() else "else_branch", {})
        else:
            branches = (inside(name, {}) for name in ("then_branch", "else_branch"))
            results = [a if a == b else None for a, b in zip(*branches, strict=True)]
    elif node.op_type == "Loop":
        results = _loop(node, bodies["body"], types, inside)
    pairs = zip(node.output, results, strict=False)
    return {name: kind for name, kind in pairs if name and kind is not None}


def _loop(
    node: onnx.NodeProto,
    body: onnx.GraphProto,
    types: Types,
    inside: Callable[[str, Mapping[str, onnx.TypeProto]], list[onnx.TypeProto | None]],
) -> list[onnx.TypeProto | None]:
    initial = [types.get(name) for name in node.input[2:]]
    if any(kind is None for kind in initial):
        return []
    scalars = (onnx.TensorProto.INT64, onnx.TensorProto.BOOL)
    given = [onnx.helper.make_tensor_type_proto(scalar, []) for scalar in scalars] + initial
    formal = {value.name: kind for value, kind in zip(body.input, given, strict=True) if kind}
    results = inside("body", formal)[1:]
    states = [a if a == b else None for a, b in zip(results, initial, strict=False)]
    return [*states, *(_stacked(kind) for kind in results[len(initial) :])]


def _stacked(kind: onnx.TypeProto | None) -> onnx.TypeProto | None:
    """One entry a step; how many, only the run knows."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = [d.dim_value if d.HasField("dim_value") else None for d in kind.tensor_type.shape.dim]
    return onnx.helper.make_tensor_type_proto(kind.tensor_type.elem_type, [None, *dims])


def _alone(
    body: onnx.GraphProto,
    model: onnx.ModelProto,
    formal: Mapping[str, onnx.TypeProto],
    types: Types,
    values: Values,
) -> onnx.ModelProto:
    """A body as a model: what it reads from outside is an input, or stored."""
    alone = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    alone.graph.node.extend(body.node)
    alone.graph.initializer.extend(body.initializer)
    own = {*formal, *(tensor.name for tensor in body.initializer)}
    outside = {name: types[name] for name in _read(body) if name in types and name not in own}
    for name, kind in (dict(formal) | outside).items():
        if name in values and name not in formal:
            alone.graph.initializer.append(numpy_helper.from_array(values[name], name))
        else:
            alone.graph.input.add(name=name, type=kind)
    return alone


def _read(body: onnx.GraphProto) -> list[str]:
    """Every name that a body and the bodies inside it read, each once."""
    names = {name: None for node in body.node for name in node.input}
    names |= {output.name: None for output in body.output}
    for node in body.node:
        for inner in bodies_of(node):
            names |= dict.fromkeys(_read(inner))
    return list(names)
