"""Adding up the cotangents of a tensor that is read more than once, in the cheapest form.

What the parts have in common shows in the nodes that they were emitted by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter, Operand


def times(e: Emitter, dy: gs.Tensor, factor: Operand) -> gs.Tensor:
    """A cotangent times a local derivative; several in a row are multiplied with one another first.

    So both ways from x to x f(x) end in products of the same cotangent.
    """
    node = _emitted(e, dy, "Mul")
    if node is None or not isinstance(factor, gs.Tensor):
        return e.mul(dy, factor)
    first, local = node.inputs
    if list(local.shape) != list(factor.shape):
        return e.mul(dy, factor)
    return e.mul(first, e.mul(local, factor))


def total(e: Emitter, parts: Sequence[gs.Tensor]) -> gs.Tensor:
    """The sum of cotangents: multiples of a single one as one, what lies side by side joined."""
    products = [_emitted(e, part, "Mul") for part in parts]
    shared = [node for node in products if node is not None]
    if len(shared) == len(parts) and len({node.inputs[0].name for node in shared}) == 1:
        return times(e, shared[0].inputs[0], _added(e, [node.inputs[1] for node in shared]))
    joined = _joined(e, parts)
    return _added(e, parts) if joined is None else joined


def stored_product(e: Emitter, dy: gs.Tensor, op: str) -> tuple[gs.Tensor, gs.Tensor] | None:
    """(g, factor) of a cotangent emitted as `op` of g and what is stored, `Mul` or `MatMul`."""
    node = _emitted(e, dy, op)
    if node is None or not _is_stored(e, node.inputs[1]):
        return None
    return node.inputs[0], node.inputs[1]


def _is_stored(e: Emitter, tensor: gs.Tensor) -> bool:
    """Whether a runtime can compute a tensor before it is given any input."""
    if e.network.value(tensor) is not None:
        return True
    made = tensor.inputs if tensor.name.startswith(e.prefix) else []
    return any(all(_is_stored(e, x) for x in node.inputs) for node in made)


def _emitted(e: Emitter, tensor: gs.Tensor, op: str) -> gs.Node | None:
    """The node by which a tensor was emitted, if it is one of that operator."""
    if not isinstance(tensor, gs.Variable) or not tensor.name.startswith(e.prefix):
        return None
    return next((node for node in tensor.inputs if node.op == op), None)


def _added(e: Emitter, parts: Sequence[gs.Tensor]) -> gs.Tensor:
    found = parts[0]
    for part in parts[1:]:
        found = e.add(found, part)
    return found


def _joined(e: Emitter, parts: Sequence[gs.Tensor]) -> gs.Tensor | None:
    """The parts without their zeros where these only leave room for the others."""
    pads = [_emitted(e, part, "Pad") for part in parts]
    if any(node is None for node in pads):
        return None
    cells = [(node.inputs[0], *_room(node)) for node in pads if node is not None]
    axes = [np.flatnonzero(before + after) for _, before, after in cells]
    if any(len(axis) != 1 or axis[0] != axes[0][0] for axis in axes):
        return None
    at = int(axes[0][0])
    cells.sort(key=lambda cell: int(cell[1][at]))
    end = 0
    for x, before, _ in cells:
        if before[at] != end or not isinstance(x.shape[at], int):
            return None
        end += x.shape[at]
    joined = [x for x, _, _ in cells]
    beside = [[dim for k, dim in enumerate(x.shape) if k != at] for x in joined]
    if any(dims != beside[0] for dims in beside):  # lazy in one part and not in another
        return None
    return e.concat(joined, at - len(joined[0].shape)) if cells[-1][2][at] == 0 else None


def _room(pad: gs.Node) -> tuple[np.ndarray, np.ndarray]:
    """What a `Pad` puts in front and behind along every axis; 1 where only the run knows."""
    rank = len(pad.inputs[0].shape)
    amounts = pad.inputs[1]
    values = amounts.values if isinstance(amounts, gs.Constant) else np.ones(2 * rank, dtype=int)
    return values[:rank], values[rank:]
