"""Model-local functions, put in the place of their calls."""

from __future__ import annotations

import onnx

from onnxcam.errors import ModelError, one_line
from onnxcam.graph.wiring import nodes_of

LARGEST_SPELLING = 1_000_000
"""Nodes that functions may become."""


def without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy of one with functions in which every call is spelt out.

    What happens inside a function can be explained only when it is part of the graph.
    Raises `ModelError` where onnx cannot do it (a function that calls itself, say).
    """
    if not model.functions:
        return model
    _require_end(model)
    from onnx import inliner  # rarely needed

    try:
        return inliner.inline_local_functions(_spelt_out(model))
    except Exception as error:  # the inliner raises whatever its C++ throws
        raise ModelError(
            f"the model's functions cannot be put in place of their calls ({one_line(error)}); "
            f"export it without functions"
        ) from None


def _require_end(model: onnx.ModelProto) -> None:
    """No function calls itself, and few are spelt out at great length."""
    calls = {
        (function.domain, function.name): [(n.domain, n.op_type) for n in nodes_of(function.node)]
        for function in model.functions
    }
    lengths: dict[tuple[str, str], int] = {}
    while len(lengths) < len(calls):
        free = [
            key
            for key, called in calls.items()
            if key not in lengths and not set(called) & calls.keys() - lengths.keys()
        ]
        if not free:
            name = min(key for key in calls if key not in lengths)[1]
            raise ModelError(f"the model's function '{name}' calls itself; export it again")
        lengths.update({key: sum(lengths.get(n, 1) for n in calls[key]) for key in free})
    total = sum(lengths.get((n.domain, n.op_type), 1) for n in nodes_of(model.graph.node))
    if total > LARGEST_SPELLING:
        raise ModelError(
            f"the model's functions become {total} nodes in place of their calls; "
            f"export it without functions"
        )


def _spelt_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that leaves nothing to onnx's inliner that it overlooks.

    It takes an attribute that a function has a default for as absent, and leaves functions alone
    that import another opset than the model, even one in which their operators are the same.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    opset = next((entry.version for entry in copy.opset_import if not entry.domain), 0)
    for function in copy.functions:
        for entry in function.opset_import:
            if not entry.domain and _mean_the_same(function, entry.version, opset):
                entry.version = opset
    defaults = {(f.domain, f.name): f.attribute_proto for f in model.functions}
    for nodes in (copy.graph.node, *(function.node for function in copy.functions)):
        for node in nodes_of(nodes):
            given = {attribute.name for attribute in node.attribute}
            declared = defaults.get((node.domain, node.op_type), ())
            node.attribute.extend(a for a in declared if a.name not in given)
    return copy


def _mean_the_same(function: onnx.FunctionProto, *opsets: int) -> bool:
    """Whether the standard operators of a function are the same in all of the opsets."""
    ops = {node.op_type for node in nodes_of(function.node) if not node.domain}
    try:
        return all(
            len({onnx.defs.get_schema(op, opset).since_version for opset in opsets}) == 1
            for op in ops
        )
    except onnx.defs.SchemaError:  # an operator that one of them does not know
        return False
