"""The reverse walk. It knows no operator.

Prune the graph to the nodes between what is differentiated and what with respect to, walk them
backwards, let each node's rule turn output cotangents into input cotangents, and add up where a
tensor is used more than once. Cotangents are kept by tensor name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import onnx_graphsurgeon as gs

from onnxcam.autodiff import rules  # noqa: F401  (fills the table)
from onnxcam.autodiff.cotangent import OneHot
from onnxcam.autodiff.registry import Rule, is_zero, rule_of
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network, describe, is_float, operands

Cotangent: TypeAlias = gs.Tensor | OneHot


def path_between(network: Network, wrt: Iterable[str], of: Iterable[str]) -> list[gs.Node]:
    """Nodes through which `of` depends differentiably on `wrt` (tensor names), in file order."""
    reached = set(wrt)
    forward: list[gs.Node] = []
    for node in network.graph.nodes:
        if is_zero(node) or not any(t.name in reached and is_float(t) for t in operands(node)):
            continue
        forward.append(node)
        reached.update(t.name for t in node.outputs if t.name and is_float(t))
    needed = set(of)
    path: list[gs.Node] = []
    for node in reversed(forward):
        if not any(t.name in needed for t in node.outputs):
            continue
        path.append(node)
        needed.update(t.name for t in operands(node) if t.name in reached)
    return path[::-1]


def differentiate(
    e: Emitter, seeds: Mapping[str, Cotangent], wrt: Iterable[str]
) -> dict[str, gs.Tensor]:
    """Emit the cotangents of the tensors `wrt`, given those of the tensors in `seeds`.

    Returns a cotangent by tensor name; a tensor that the seeds do not depend on is left out.
    A cotangent may be lazy and may have leading axes (see `onnxcam.autodiff.cotangent`).
    Raises `UnsupportedOperatorError` when an operator on the path has no rule.
    """
    network = e.network
    sources = list(wrt)
    path = path_between(network, sources, seeds)
    _require_rules(network, path, sources)
    reached = {t.name for node in path for t in node.outputs if is_float(t)} | set(sources)
    cotangents: dict[str, list[Cotangent]] = {name: [seed] for name, seed in seeds.items()}
    for node in reversed(path):
        dys = [_accumulated(e, cotangents, t.name) for t in node.outputs]
        if all(dy is None for dy in dys):
            continue
        rule = rule_of(node)
        assert rule is not None  # _require_rules saw to it
        if not rule.takes_one_hot:
            dys = [dy.dense(e) if isinstance(dy, OneHot) else dy for dy in dys]
        for i, x in enumerate(node.inputs):
            if x.name in reached and is_float(x):
                cotangents.setdefault(x.name, []).append(rule.vjp(e, node, i, *dys))
    found = {name: _accumulated(e, cotangents, name) for name in sources}
    return {
        name: dy.dense(e) if isinstance(dy, OneHot) else dy
        for name, dy in found.items()
        if dy is not None
    }


def _accumulated(e: Emitter, cotangents: dict[str, list[Cotangent]], name: str) -> Cotangent | None:
    """The sum of what has flowed back to a tensor so far; kept, so that it is emitted once."""
    parts = cotangents.get(name, [])
    if len(parts) > 1:
        total = parts[0].dense(e) if isinstance(parts[0], OneHot) else parts[0]
        for part in parts[1:]:
            total = e.add(total, part.dense(e) if isinstance(part, OneHot) else part)
        cotangents[name] = parts = [total]
    return parts[0] if parts else None


def _require_rules(network: Network, path: list[gs.Node], sources: list[str]) -> None:
    """Refuse before anything is emitted, naming every operator that stands in the way."""
    reached = set(sources)
    missing: dict[str, gs.Node] = {}
    for node in path:
        read = [x for x in operands(node) if x.name in reached]
        unknown = next((t for t in (*read, *node.outputs[:1]) if t.shape is None), None)
        if unknown is not None:
            raise UnsupportedOperatorError(
                f"the shape of '{unknown.name}' at {describe(node)} cannot be inferred, so nothing "
                f"can be differentiated through it; fix the model's input size, or choose a "
                f"target layer behind it"
            )
        rule: Rule | None = rule_of(node)
        for i, x in enumerate(operands(node)):
            if x.name in reached and is_float(x) and (rule is None or not rule.covers(i)):
                missing.setdefault(f"{node.domain or ''}:{node.op}", node)
        reached.update(t.name for t in node.outputs if is_float(t))
    if missing:
        node = next(iter(missing.values()))
        others = sorted({n.op for n in missing.values()} - {node.op})
        also = f" (also without one: {', '.join(others)})" if others else ""
        raise UnsupportedOperatorError(
            f"{describe(node)}, opset {network.opset}, has no derivative here{also}; "
            f"choose a target layer behind it (onnxcam layers lists them)"
        )
