"""The reverse walk over a list of nodes. It knows no operator.

Prune the nodes to those between what is differentiated and what with respect to, walk them
backwards, let each node's derivative turn output cotangents into input cotangents, and add up
where a tensor is used more than once. Cotangents are kept by tensor name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.precision import in_single_precision
from onnxcam.autodiff.registry import Table, derivative_of, is_zero, refusal_of
from onnxcam.autodiff.sums import total
from onnxcam.errors import OnnxCamError, UnsupportedOperatorError, one_line
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, is_float, is_integer, operands


@dataclass(frozen=True)
class Path:
    """Nodes through which something depends differentiably on something else, in file order.

    `reached` names the tensors on the way, sources included.
    """

    nodes: list[gs.Node]
    reached: set[str]


def find_path(
    nodes: Sequence[gs.Node],
    wrt: Iterable[str],
    of: Iterable[str],
    table: Table = derivative_of,
) -> Path:
    """The nodes (in topological order) between the tensors `wrt` and the tensors `of`."""
    reached = set(wrt)
    forward: list[gs.Node] = []
    for node in nodes:
        if is_zero(node) or not _wanted(node, reached, table):
            continue
        forward.append(node)
        reached.update(t.name for t in _carrying(node, reached, table))
    needed = set(of)
    path: list[gs.Node] = []
    for node in reversed(forward):
        if not any(t.name in needed for t in node.outputs):
            continue
        path.append(node)
        read = operands(node)
        needed.update(read[i].name for i in _wanted(node, reached, table))
    return Path(path[::-1], reached & needed)


def _wanted(node: gs.Node, reached: set[str], table: Table) -> list[int]:
    """Positions of the operands that a derivative flows to."""
    derivative = table(node)
    ignored = derivative.ignored if derivative is not None else ()
    read = enumerate(operands(node))
    return [i for i, x in read if x.name in reached and i not in ignored]


def _carrying(node: gs.Node, reached: set[str], table: Table) -> list[gs.Tensor]:
    """The outputs of a reached node that a derivative flows through.

    Floats do. Integers do where they stand for real numbers: behind a quantising operator, and
    behind whatever moves such integers on.
    """
    derivative = table(node)
    outputs = [t for t in node.outputs if t.name]
    if derivative is not None and derivative.outputs is not None:
        outputs = [t for k, t in enumerate(node.outputs) if t.name and k in derivative.outputs]
    quantized = derivative is not None and derivative.quantizing
    integers = quantized or any(t.name in reached and is_integer(t) for t in operands(node))
    return [t for t in outputs if t.dtype is None or is_float(t) or (integers and is_integer(t))]


def pull_back(
    e: Emitter,
    nodes: Sequence[gs.Node],
    seeds: Mapping[str, Cotangent],
    wrt: Iterable[str],
    table: Table = derivative_of,
) -> dict[str, Cotangent]:
    """Emit the cotangents of the tensors `wrt`, given those of the tensors in `seeds`.

    Raises `UnsupportedOperatorError` when an operator on the path has no derivative.
    """
    sources = list(wrt)
    path = find_path(nodes, sources, seeds, table)
    require_derivatives(e, path, table)
    cotangents: dict[str, list[Cotangent]] = {name: [seed] for name, seed in seeds.items()}
    for node in reversed(path.nodes):
        dys = [_accumulated(e, cotangents, t.name) for t in node.outputs]
        if all(dy is None for dy in dys):
            continue
        derivative = table(node)
        assert derivative is not None  # require_derivatives saw to it
        read = operands(node)
        wanted = _wanted(node, path.reached, table)
        try:
            found = derivative.pull_back(e, in_single_precision(e, node, path.reached), wanted, dys)
        except OnnxCamError:
            raise
        except Exception as error:  # attributes and shapes that do not fit each other
            raise UnsupportedOperatorError(
                f"{describe(node)} cannot be differentiated ({one_line(error)}): its attributes "
                f"do not fit its inputs, or this is a mistake of onnxcam's; choose a target layer "
                f"behind it"
            ) from error
        for i, dx in zip(wanted, found, strict=True):
            if dx is not None:
                cotangents.setdefault(read[i].name, []).append(dx)
    totals = {name: _accumulated(e, cotangents, name) for name in sources}
    return {name: total for name, total in totals.items() if total is not None}


def _accumulated(e: Emitter, cotangents: dict[str, list[Cotangent]], name: str) -> Cotangent | None:
    """The sum of what has flowed back to a tensor so far; kept, so that it is emitted once."""
    parts = cotangents.get(name, [])
    if len(parts) > 1:
        cotangents[name] = parts = [total(e, [dense(e, part) for part in parts])]
    return parts[0] if parts else None


def missing_derivatives(path: Path, table: Table = derivative_of) -> list[gs.Node]:
    """The nodes of a path that have no derivative where they need one."""

    def has_one(node: gs.Node) -> bool:
        derivative = table(node)
        wanted = _wanted(node, path.reached, table)
        return derivative is not None and all(derivative.covers(i) for i in wanted)

    return [node for node in path.nodes if not has_one(node)]


def require_derivatives(e: Emitter, path: Path, table: Table = derivative_of) -> None:
    """Refuse before anything is emitted, naming every operator that stands in the way.

    Raises `UnsupportedOperatorError`, also for a tensor on the way whose shape is unknown.
    """
    missing = missing_derivatives(path, table)
    if missing:
        node = missing[0]
        others = sorted({n.op for n in missing} - {node.op})
        also = f" (also without one: {', '.join(others)})" if others else ""
        reason = refusal_of(node)
        why = f": {reason}" if reason else ""
        raise UnsupportedOperatorError(
            f"{describe(node)}, opset {e.opset}, has no derivative here{also}{why}; "
            f"choose a target layer behind it (onnxcam layers lists them)"
        )
    for node in path.nodes:
        on_path = [t for t in (*operands(node), *node.outputs) if t.name in path.reached]
        unknown = next((t for t in on_path if t.shape is None or t.dtype is None), None)
        if unknown is not None:
            raise UnsupportedOperatorError(
                f"the shape of '{unknown.name}' at {describe(node)} cannot be inferred"
                f"{e.network.because}, so nothing can be differentiated through it; fix the "
                f"model's input size, or choose a target layer behind it"
            )
