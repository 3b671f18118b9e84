"""Running a rewritten model where the model it was made of does not run in ONNX Runtime.

Then its own nodes are run by onnx's reference evaluator, and what was emitted by ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx
from autodiff.oracle import Arrays, at_newest, is_differentiable, ort_session
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

Run = Callable[[list[str], Arrays], list[np.ndarray]]


def in_runtime(model: onnx.ModelProto) -> Run:
    """All of it in ONNX Runtime."""
    session = ort_session(model)
    return lambda names, feeds: session.run(names, feeds)


def in_runtime_at_newest(model: onnx.ModelProto) -> Run:
    """All of it in ONNX Runtime, at the newest opset that it knows."""
    return in_runtime(at_newest(model))


def in_reference(model: onnx.ModelProto) -> Run:
    """All of it in onnx's reference evaluator."""
    evaluator = ReferenceEvaluator(model)
    return lambda names, feeds: [np.asarray(y) for y in evaluator.run(names, feeds)]


def in_both(model: onnx.ModelProto) -> Run:
    """The model's own nodes in the reference evaluator, the emitted ones in ONNX Runtime."""
    own, emitted = _divided(model)
    made = {name for node in own for name in node.output}
    fed = {value.name for value in model.graph.input}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    read = _outside(emitted)
    crossing = [name for name in read if name in made]
    forward = _part(model, own)
    forward.graph.input.extend(v for v in model.graph.input if not v.name.endswith("_seed"))
    forward.graph.initializer.extend(stored.values())
    forward.graph.output.extend(onnx.ValueInfoProto(name=name) for name in crossing)
    forward.graph.input.extend(
        v for v in model.graph.input if v.name.endswith("_seed") and v.name in _outside(own)
    )
    evaluator = ReferenceEvaluator(forward)

    def run(names: list[str], feeds: Arrays) -> list[np.ndarray]:
        own_feeds = {v.name: feeds[v.name] for v in forward.graph.input if v.name in feeds}
        values = dict(zip(crossing, evaluator.run(crossing, own_feeds), strict=True))
        values |= {name: feeds[name] for name in read if name in fed and name in feeds}
        backward = _part(model, emitted)
        backward.graph.initializer.extend(stored[n] for n in read if n in stored and n not in feeds)
        wide: Arrays = {}
        casts = []
        for name, given in values.items():
            value = np.asarray(given)
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            if kind == TensorProto.BFLOAT16:  # numpy has none that ONNX Runtime takes
                casts.append(helper.make_node("Cast", [f"{name}_wide"], [name], to=kind))
                name, value, kind = f"{name}_wide", value.astype(np.float32), TensorProto.FLOAT
            backward.graph.input.append(helper.make_tensor_value_info(name, kind, value.shape))
            wide[name] = value
        for cast in reversed(casts):
            backward.graph.node.insert(0, cast)
        backward.graph.output.extend(v for v in model.graph.output if v.name in names)
        return ort_session(at_newest(backward)).run(names, wide)

    return run


def _part(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> onnx.ModelProto:
    part = onnx.ModelProto(ir_version=min(model.ir_version, 10))
    part.opset_import.extend(model.opset_import)
    part.functions.extend(model.functions)
    part.graph.name = model.graph.name
    part.graph.node.extend(nodes)
    return part


def _divided(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """The model's own nodes, and the emitted ones behind them."""
    nodes = list(model.graph.node)
    new = [
        any(name.startswith("onnxcam/") or name.endswith("_grad") for name in node.output)
        for node in nodes
    ]
    return nodes[: new.index(True)], nodes[new.index(True) :]


def _outside(nodes: Iterable[onnx.NodeProto], known: Iterable[str] = ()) -> list[str]:
    """What nodes read, in their bodies too, and do not make themselves."""
    made = set(known)
    found: dict[str, None] = {}
    for node in nodes:
        read = [name for name in node.input if name]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                body = attribute.g
                own = [v.name for v in (*body.input, *body.initializer)]
                read += _outside(body.node, own)
                inner = {name for each in body.node for name in each.output} | set(own)
                read += [v.name for v in body.output if v.name not in inner]
        found.update((name, None) for name in read if name not in made)
        made.update(node.output)
    return list(found)


def has_half(arrays: Iterable[np.ndarray]) -> bool:
    return any(is_differentiable(a) and a.dtype.itemsize == 2 for a in arrays)


def has_bfloat16(arrays: Iterable[np.ndarray]) -> bool:
    return any(a.dtype.name == "bfloat16" for a in arrays)
