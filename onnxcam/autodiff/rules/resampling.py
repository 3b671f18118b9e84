"""Resizing is a linear map along each axis: the way back is the transposed map.

What the many coordinate modes mean is left to the runtime: resized by the node's own attributes,
unit vectors become the rows of the map. A runtime computes that once, when it loads the model, if
the sizes are known by then, and with every run if they are not.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import fold, full, unfold
from onnxcam.autodiff.registry import refuse, vjp
from onnxcam.autodiff.rules.sampling import numbers
from onnxcam.autodiff.rules.structure import split_axis
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe

refuse("it ended with opset 9; a model that old is converted to Resize", "Upsample")


@vjp("Resize")
def resize(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Sums of the positions that were repeated whole, a matrix product for any other axis."""
    x, y = node.inputs[0], node.outputs[0]
    if is_static(x.shape) and list(x.shape) == list(y.shape):
        return dy  # whatever the coordinates: ONNX Runtime copies
    resized = [axis for axis in range(-len(x.shape), 0) if not _is_kept(e, node, axis)]
    repeats = {axis: _repeats(e, node, axis) for axis in resized}
    dy = _sum_of_repeats(e, dy, node, {a: n for a, n in repeats.items() if n > 1})
    for axis in [a for a, n in repeats.items() if not n]:
        dy = _apply(e, _map_along(e, node, axis), full(e, dy, y, [axis]), axis)
    return dy


# -- what a node is told ----------------------------------------------------------------------


def _axes(node: gs.Node) -> list[int]:
    """The axes, counted from the end, that the node's scales, sizes and region are of."""
    rank = len(node.inputs[0].shape)
    return [a % rank - rank for a in node.attrs.get("axes") or range(rank)]


def _given(node: gs.Node, k: int) -> gs.Tensor | None:
    """Input k (1 the region, 2 the scales, 3 the sizes) if it is there."""
    given = node.inputs[k] if len(node.inputs) > k else None
    return None if given is None or not given.name or given.shape == [0] else given


def _known(e: Emitter, node: gs.Node, k: int) -> np.ndarray | None:
    """The value of input k if it is there and known before the run."""
    given = _given(node, k)
    value = None if given is None else e.network.value(given)
    return None if value is None or value.size == 0 else value


def _is_kept(e: Emitter, node: gs.Node, axis: int) -> bool:
    """Whether an axis is certainly left as it is."""
    x, y, axes = node.inputs[0], node.outputs[0], _axes(node)
    if axis not in axes:
        return True
    k = axes.index(axis)
    if node.attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        region = _known(e, node, 1)
        whole = axis < -2 if region is None else (region[k], region[k + len(axes)]) == (0, 1)
        if not whole:
            return False
    scales = _known(e, node, 2)
    if scales is not None:
        return bool(scales[k] == 1)
    return x.shape[axis] is not None and x.shape[axis] == y.shape[axis]


def _repeats(e: Emitter, node: gs.Node, axis: int) -> int:
    """How often each position of an axis is repeated, 0 where it is not as simple as that."""
    if node.attrs.get("mode", "nearest") != "nearest":
        return 0
    size, length = node.inputs[0].shape[axis], node.outputs[0].shape[axis]
    scales = _known(e, node, 2)
    if scales is not None:
        scale = float(scales[_axes(node).index(axis)])
    elif isinstance(size, int) and isinstance(length, int):
        scale = length / size
    else:
        return 0
    coordinates = node.attrs.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.attrs.get("nearest_mode", "round_prefer_floor")
    whole = {
        "half_pixel": rounding.startswith("round"),
        "pytorch_half_pixel": rounding.startswith("round"),
        "half_pixel_symmetric": rounding.startswith("round"),
        "tf_half_pixel_for_nn": rounding == "floor",
        "asymmetric": rounding == "floor" or (rounding == "round_prefer_floor" and scale == 2),
    }
    return int(scale) if scale == int(scale) and whole.get(coordinates, False) else 0


# -- the way back -----------------------------------------------------------------------------


def _sum_of_repeats(e: Emitter, dy: gs.Tensor, node: gs.Node, repeats: dict[int, int]) -> gs.Tensor:
    """Sums over blocks: an average pool, which a runtime does faster than a reduction."""
    x, y = node.inputs[0], node.outputs[0]
    rank = len(x.shape)
    lazy = prod(n for axis, n in repeats.items() if dy.shape[axis] == 1 != y.shape[axis])
    blocks = {axis: n for axis, n in repeats.items() if dy.shape[axis] != 1}
    if lazy > 1:
        dy = e.mul(dy, lazy)
    if not blocks:
        return dy
    if min(blocks) < 2 - rank:  # channels last
        for axis, n in blocks.items():
            apart = split_axis(e, dy, axis, (x.shape[axis], e.dim(x, axis)), (n, e.ints(n)))
            dy = e.reduce("ReduceSum", apart, [axis], keepdims=False)
        return dy
    kernel = [blocks.get(axis, 1) for axis in range(2 - rank, 0)]
    folded = fold(e, dy, y)
    shape = [x.shape[a] if a in blocks else folded.shape[a] for a in range(-rank, 0)]
    mean = e.op("AveragePool", folded, shape=shape, kernel_shape=kernel, strides=kernel)
    return unfold(e, e.mul(mean, prod(kernel)), dy, x)


def _map_along(e: Emitter, node: gs.Node, axis: int) -> gs.Tensor:
    """The (size, length) map of a resize along one axis: what becomes of each unit vector.

    The vectors are the channels of a picture. Its height is resized too, as ONNX Runtime ignores
    the coordinates where no size changes.
    """
    x, y, k = node.inputs[0], node.outputs[0], _axes(node).index(axis)
    size, length = x.shape[axis], y.shape[axis]
    height, resized_height = _limiting_ratio(e, node)
    units = e.unsqueeze(e.cast(_identity(e, x, axis), np.float32), [0, 2])
    if height > 1:
        units = e.expand(units, e.constant(np.zeros([1, 1, height, 1], np.float32)), [-2])
    dropped = ("axes", "extrapolation_value")  # what is extrapolated does not depend on x
    attrs = {name: value for name, value in node.attrs.items() if name not in dropped}
    empty = gs.Variable.empty() if e.opset >= 13 else e.constant(np.zeros(0), np.float32)
    scales, sizes = _given(node, 2), _given(node, 3)
    if scales is not None:
        others = e.constant([1, 1, resized_height], np.float32)
        inputs = [e.concat([others, _pick(e, scales, [k])], -1)]
    elif attrs.get("keep_aspect_ratio_policy", "stretch") == "stretch":
        inputs = [empty, e.concat([e.ints(1), e.dim(x, axis), e.ints(2), e.dim(y, axis)], -1)]
    else:
        assert sizes is not None
        inputs = [empty, e.concat([e.ints(resized_height), _pick(e, sizes, [k])], -1)]
        attrs["axes"] = [2, 3]
    region = _given(node, 1)
    if region is None or attrs.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        inputs.insert(0, empty)
    else:
        ends = _pick(e, region, [k]), _pick(e, region, [k + len(_axes(node))])
        inputs.insert(0, _region(e, ends, len(attrs.get("axes", range(4)))))
    shape = [1, size, None, length]
    rows = e.op("Resize", units, *inputs, shape=shape, **attrs)
    first = e.op("Gather", rows, e.ints(0), shape=[1, size, 1, length], axis=2)
    return e.cast(e.reshape(first, [size, length], [e.dim(x, axis), e.dim(y, axis)]), x.dtype)


def _region(e: Emitter, ends: tuple[gs.Tensor, gs.Tensor], rank: int) -> gs.Tensor:
    """The region that is whole along all but the last axis."""
    dtype = ends[0].dtype
    others = [e.constant(np.full(rank - 1, end), dtype) for end in (0, 1)]
    return e.concat([others[0], ends[0], others[1], ends[1]], -1)


def _pick(e: Emitter, values: gs.Tensor, index: list[int]) -> gs.Tensor:
    """Some elements of a 1-D tensor, stored where they are known."""
    known = e.network.value(values)
    if known is not None:
        return e.constant(known[index])
    return e.op("Gather", values, e.ints(*index), shape=[len(index)], axis=0)


def _identity(e: Emitter, x: gs.Tensor, axis: int) -> gs.Tensor:
    """The unit matrix of an axis's length, as bool."""
    places = numbers(e, e.dim(x, axis), x.shape[axis])
    return e.equal(e.unsqueeze(places, [1]), e.unsqueeze(places, [0]))


def _limiting_ratio(e: Emitter, node: gs.Node) -> tuple[int, int]:
    """Two lengths whose ratio is the one scale of a node that keeps the aspect ratio, else 1:2."""
    policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch" or _given(node, 3) is None:
        return 1, 2
    x, sizes = node.inputs[0], _known(e, node, 3)
    lengths = [x.shape[axis] for axis in _axes(node)]
    if sizes is None or not is_static(lengths):
        raise UnsupportedOperatorError(
            f"{describe(node)} keeps the aspect ratio of a size that only the run knows, which "
            f"has no derivative here; fix the model's input size"
        )
    ratios = [Fraction(int(z), int(n)) for z, n in zip(sizes, lengths, strict=True) if n]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return scale.denominator, scale.numerator


def _apply(e: Emitter, rows: gs.Tensor, dy: gs.Tensor, axis: int) -> gs.Tensor:
    """Contract an axis of dy with the second one of a (size, length) matrix."""
    if axis == -1:
        return e.matmul(dy, e.transpose(rows, [1, 0]))
    if axis == -2:
        return e.matmul(rows, dy)
    rank = len(dy.shape)
    order = [a for a in range(rank) if a != axis % rank] + [axis % rank]
    product = e.matmul(e.transpose(dy, order), e.transpose(rows, [1, 0]))
    return e.transpose(product, np.argsort(order).tolist())
