"""What some rows of an operator's output need of its inputs.

A rule answers with a box for each input, or None where it knows no better than all. Then the
same operator, applied to these boxes, has the box of the output as its own: only operators that
take rows (`TAKES`) have to be replaced, and the lengths of a `Reshape` changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_graphsurgeon as gs

from onnxcam.graph.boxes import WHOLE, Box, before_reshape, box
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.network import Network
from onnxcam.graph.quantized import ROUNDINGS
from onnxcam.graph.slices import bounds_along

Needs = list[Box] | None
Rule = Callable[[Network, gs.Node, Box], Needs]

PRODUCTS = {"MatMul", "Gemm", "Attention", "MultiHeadAttention"}
"""Operators by which rows cost the most."""

TAKES = {"Gather", "Slice", "Split"}

_ELEMENTWISE = {
    "Abs", "Add", "BiasAdd", "BiasGelu", "Cast", "Ceil", "Celu", "Clip", "Cos", "Div", "Dropout",
    "Elu", "Equal", "Erf", "Exp", "FastGelu", "Floor", "Gelu", "Greater", "GreaterOrEqual",
    "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max",
    "Mean", "Min", "Mish", "Mul", "Neg", "Not", "PRelu", "Pow", "QuickGelu", "Reciprocal", "Relu",
    "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum",
    "Swish", "Tanh", "ThresholdedRelu", "Where",
}  # fmt: skip
_ALONG_ONE = {"Softmax", "LogSoftmax", "Hardmax", "LpNormalization"}
_FROM_AXIS_ON = {"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"}
_REDUCTIONS = {
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
}  # fmt: skip
_ATTENTIONS = {"Attention", "MultiHeadAttention"}


def needs(network: Network, node: gs.Node, output: int, part: Box) -> Needs:
    """Boxes of a node's inputs that are enough for one of its output number `output`."""
    if any(tensor.name and tensor.shape is None for tensor in node.inputs):
        return None
    if node.outputs[output].shape is None:
        return None
    if node.op == "Split":
        found = _split(node, output, part)
    else:
        rule = _RULES.get(node.op) if output == 0 else None
        found = rule(network, node, part) if rule else None
    return found and [*found, *[WHOLE] * (len(node.inputs) - len(found))]


def _broadcast(node: gs.Node, part: Box, inputs: Sequence[gs.Tensor]) -> Needs:
    """An input has its last axes in common with the output, unless it is 1 long there."""
    shape = node.outputs[0].shape
    found: list[Box] = []
    for tensor in inputs:
        rows = {}
        for axis, some in part.items():
            own = axis - len(shape) + len(tensor.shape)
            if not tensor.name or own < 0 or tensor.shape[own] == 1:
                continue
            if tensor.shape[own] != shape[axis]:
                return None
            rows[own] = some
        found.append(rows)
    return found


def _elementwise(network: Network, node: gs.Node, part: Box) -> Needs:
    return _broadcast(node, part, node.inputs)


def _quantizer(network: Network, node: gs.Node, part: Box) -> Needs:
    """One scale for all, which is what `axis` says nothing of."""
    alone = all(not tensor.shape for tensor in node.inputs[1:] if tensor.name)
    return [part] if alone else None


def _softmax(network: Network, node: gs.Node, part: Box) -> Needs:
    first = node.op != "LpNormalization" and network.opset < 13
    rank = len(node.inputs[0].shape)
    axis = int(node.attrs.get("axis", 1 if first else -1)) % max(rank, 1)
    mixed = range(axis, rank) if first else [axis]  # of old: all axes from that one on
    return None if any(one in part for one in mixed) else [part]


def _normalization(network: Network, node: gs.Node, part: Box) -> Needs:
    rank = len(node.inputs[0].shape)
    axis = int(node.attrs.get("axis", -1)) % rank
    return None if any(one >= axis for one in part) else [part]


def _reduction(network: Network, node: gs.Node, part: Box) -> Needs:
    rank = len(node.inputs[0].shape)
    axes = node.attrs.get("axes")
    if axes is None and len(node.inputs) > 1:
        axes = network.value(node.inputs[1])
    if axes is None or not len(axes):
        return None
    gone = {int(axis) % rank for axis in axes}
    if node.attrs.get("keepdims", 1):
        return None if gone & set(part) else [part]
    left = [axis for axis in range(rank) if axis not in gone]
    return [{left[axis]: rows for axis, rows in part.items()}]


def _transpose(network: Network, node: gs.Node, part: Box) -> Needs:
    order = node.attrs.get("perm", range(len(node.inputs[0].shape))[::-1])
    return [{order[axis]: rows for axis, rows in part.items()}]


def _reshape(network: Network, node: gs.Node, part: Box) -> Needs:
    x, y = list(node.inputs[0].shape), list(node.outputs[0].shape)
    found = before_reshape(part, x, y)
    if found is None:
        return None
    if node.op == "Reshape":
        # Of an axis that may be copied (0) the copy would be shorter.
        given = network.value(node.inputs[1])
        copied = range(len(y)) if given is None else [k for k, n in enumerate(given) if n == 0]
        if any(axis in found and axis not in part for axis in copied):
            return None
    elif node.op == "Squeeze" and "axes" not in node.attrs and len(node.inputs) < 2:
        return None  # what becomes 1 long would go too
    return [found]


def _matmul(network: Network, node: gs.Node, part: Box) -> Needs:
    a, b = node.inputs[:2]
    rank = len(node.outputs[0].shape)
    if len(a.shape) < 2 or len(b.shape) < 2:
        return None
    outer = {axis: rows for axis, rows in part.items() if axis < rank - 2}
    rows, columns = part.get(rank - 2), part.get(rank - 1)
    found = _broadcast(node, outer, [a, b])
    if found is None:
        return None
    left, right = found
    if rows is not None:
        left = {**left, len(a.shape) - 2: rows}
    if columns is not None:
        right = {**right, len(b.shape) - 1: columns}
    return [left, right]


def _gemm(network: Network, node: gs.Node, part: Box) -> Needs:
    row_axis = 1 if node.attrs.get("transA", 0) else 0
    column_axis = 0 if node.attrs.get("transB", 0) else 1
    a = {row_axis: part[0]} if 0 in part else WHOLE
    b = {column_axis: part[1]} if 1 in part else WHOLE
    added = _broadcast(node, part, node.inputs[2:3])
    return None if added is None else [a, b, *added]


def _attention(network: Network, node: gs.Node, part: Box) -> Needs:
    """Queries are apart from each other, unless a mask counts them."""
    is_packed = node.op == "Attention" and node.domain not in (None, "", "ai.onnx")
    is_masked = node.attrs.get("is_causal") or node.attrs.get("unidirectional")
    if len(node.inputs) != 3 or is_masked or is_packed:
        return None
    rank = len(node.outputs[0].shape)
    is_alike = len(node.inputs[0].shape) == rank
    return [part] if is_alike and set(part) == {rank - 2} else None


def _concat(network: Network, node: gs.Node, part: Box) -> Needs:
    axis = int(node.attrs["axis"]) % len(node.outputs[0].shape)
    return None if axis in part else [part] * len(node.inputs)


def taken(network: Network, node: gs.Node, output: int) -> dict[int, list[int]] | None:
    """The rows, in order, that a Gather, Slice or Split takes along axes: constant ones only."""
    x = list(node.inputs[0].shape)
    if node.op == "Split":
        return _part_of_split(node, output, x)
    if node.op == "Gather":
        axis, index = int(node.attrs.get("axis", 0)) % len(x), network.value(node.inputs[1])
        length = x[axis]
        if index is None or index.ndim > 1 or not isinstance(length, int):
            return None
        return {axis: [int(one) % length for one in index.flat]}
    if any(network.value(tensor) is None for tensor in node.inputs[1:] if tensor.name):
        return None
    bounds = [bounds_along(network, node, axis, len(x)) for axis in range(len(x))]
    found = {axis: some for axis, some in enumerate(bounds) if some != slice(None)}
    lengths = {axis: x[axis] for axis in found}
    if not is_static(list(lengths.values())):
        return None
    return {axis: list(range(lengths[axis]))[some] for axis, some in found.items()}


def _part_of_split(node: gs.Node, output: int, x: Shape) -> dict[int, list[int]] | None:
    axis = int(node.attrs.get("axis", 0)) % len(x)
    dims = [None if t.shape is None else t.shape[axis] for t in node.outputs]
    lengths = [dim for dim in dims if isinstance(dim, int)]
    if len(lengths) < len(dims):
        return None
    start = sum(lengths[:output])
    return {axis: list(range(start, start + lengths[output]))}


def _take(network: Network, node: gs.Node, part: Box) -> Needs:
    return _before_take(node, taken(network, node, 0), part)


def _split(node: gs.Node, output: int, part: Box) -> Needs:
    return _before_take(node, _part_of_split(node, output, list(node.inputs[0].shape)), part)


def _before_take(node: gs.Node, rows: dict[int, list[int]] | None, part: Box) -> Needs:
    if rows is None or not all(rows.values()):
        return None
    return [box(wanted(node, rows, part), node.inputs[0].shape)]


def wanted(node: gs.Node, rows: dict[int, list[int]], part: Box) -> dict[int, list[int]]:
    """The rows of its input, in order, of which a box of a take's output consists."""
    found = dict(rows)
    gone = dropped_axis(node)
    for axis, some in part.items():
        own = axis if gone is None or axis < gone else axis + 1
        found[own] = [rows[own][k] for k in some] if own in rows else list(some)
    return found


def dropped_axis(node: gs.Node) -> int | None:
    """The axis that a Gather by one number ends."""
    if node.op != "Gather" or node.inputs[1].shape:
        return None
    return int(node.attrs.get("axis", 0)) % len(node.inputs[0].shape)


_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(ROUNDINGS, _quantizer),
    **dict.fromkeys(_ALONG_ONE, _softmax),
    **dict.fromkeys(_FROM_AXIS_ON, _normalization),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze"), _reshape),
    "Transpose": _transpose,
    "MatMul": _matmul,
    "Gemm": _gemm,
    **dict.fromkeys(_ATTENTIONS, _attention),
    "Concat": _concat,
    "Gather": _take,
    "Slice": _take,
}
