"""Model-local functions, put in the place of their calls."""

from __future__ import annotations

import onnx

from onnxcam.errors import ModelError, one_line
from onnxcam.graph.protos import STANDARD, Names, nodes_of, opset_of

LARGEST_SPELLING = 1_000_000
"""Nodes that functions may become."""

Key = tuple[str, str, str]
"""Domain, name and overload."""


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


def _key(function: onnx.FunctionProto) -> Key:
    return (function.domain, function.name, function.overload)


def _called(node: onnx.NodeProto) -> Key:
    return (node.domain, node.op_type, node.overload)


def _require_end(model: onnx.ModelProto) -> None:
    """No function is there twice or calls itself, and few are spelt out at great length."""
    calls: dict[Key, list[Key]] = {}
    for function in model.functions:
        if _key(function) in calls:
            raise ModelError(f"the model has two functions '{function.name}'; export it again")
        calls[_key(function)] = [_called(node) for node in nodes_of(function.node)]
    lengths: dict[Key, int] = {}
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
    total = sum(lengths.get(_called(n), 1) for n in nodes_of(model.graph.node))
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
    opset = opset_of(copy)
    for function in copy.functions:
        for entry in function.opset_import:
            if entry.domain in STANDARD and _mean_the_same(function, entry.version, opset):
                entry.version = opset
    _complete_calls(copy)
    return copy


def _complete_calls(model: onnx.ModelProto) -> None:
    """Give every call all the attributes that its function has defaults for, in place.

    What refers to an attribute that the caller leaves out is left out as well, and may have a
    default in its turn. So a function becomes several, one for each choice of what is left out.
    """
    written = {_key(function): function for function in model.functions}
    names = Names(f.name for f in model.functions)
    made: dict[tuple[Key, frozenset[str]], onnx.FunctionProto] = {}
    waiting = [(model.graph.node, frozenset[str]())]
    while waiting:
        nodes, missing = waiting.pop()
        for node in nodes_of(nodes):
            kept = [a for a in node.attribute if a.ref_attr_name not in missing]
            function = written.get(_called(node))
            if function is not None:
                given = {attribute.name for attribute in kept}
                kept += [a for a in function.attribute_proto if a.name not in given]
                absent = frozenset(function.attribute) - given
                variant = made.get((_key(function), absent))
                if variant is None:
                    variant = made[_key(function), absent] = onnx.FunctionProto()
                    variant.CopyFrom(function)
                    variant.name = names.free(function.name) if absent else function.name
                    waiting.append((variant.node, absent))
                node.op_type = variant.name
            if function is not None or len(kept) < len(node.attribute):
                del node.attribute[:]
                node.attribute.extend(kept)
    del model.functions[:]
    model.functions.extend(made.values())


def _mean_the_same(function: onnx.FunctionProto, *opsets: int) -> bool:
    """Whether the standard operators of a function are the same in all of the opsets."""
    ops = {node.op_type for node in nodes_of(function.node) if node.domain in STANDARD}
    try:
        return all(
            len({onnx.defs.get_schema(op, opset).since_version for opset in opsets}) == 1
            for op in ops
        )
    except onnx.defs.SchemaError:  # an operator that one of them does not know
        return False
