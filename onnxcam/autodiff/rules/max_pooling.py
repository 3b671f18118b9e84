"""Max pooling, undone with slices, comparisons and padding only.

No `Indices` output (it makes the forward pool 15 to 57 times slower), no scatter, no `Col2Im`
(CUDA has none).
"""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.window import Length, Window, crop, kernel_of, output_of, pad, window_of
from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter


@vjp("GlobalMaxPool")
def global_max_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """To the maximum; equal maxima share."""
    x, y = node.inputs[0], node.outputs[0]
    hit = e.cast(e.equal(x, y), x.dtype)
    share = e.div(hit, e.reduce("ReduceSum", hit, range(2 - len(x.shape), 0)))
    return e.mul(share, dy)


@vjp("MaxPool", outputs=(0,))
def max_pool(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """To the first maximum of each window in row-major order, as PyTorch does.

    For every offset in the window: the strided slice of x that the offset sees, compared with y.
    Offsets that differ by whole strides see the same positions one cell further on; their
    contributions are shifted and added, and the stride's residues are woven together at the end.
    """
    y, dy = output_of(e, node), dys[0]
    assert dy is not None
    window = window_of(e, node, kernel_of(node))
    rank = window.rank
    dy = full(e, dy, y, range(-rank, 0))
    offsets = list(np.ndindex(*window.kernel))
    first = _first_hit(e, _seen(e, node, window), y)
    residues: dict[tuple[int, ...], gs.Tensor] = {}
    for n, offset in enumerate(offsets):
        part = e.where(e.equal(first, n), dy, 0)
        steps = [tap * dilation for tap, dilation in zip(offset, window.dilations, strict=True)]
        shift: dict[int, tuple[int, int]] = {}
        for k in range(rank):
            cells = steps[k] // window.strides[k]
            shift[k - rank] = (cells, _cells_behind(node, window, k) - cells)
        residue = tuple(steps[k] % window.strides[k] for k in range(rank))
        part = e.pad(part, shift)
        residues[residue] = e.add(residues[residue], part) if residue in residues else part
    return _cut_out(e, _weave(e, residues, window), node, window)


def _is_known(node: gs.Node, window: Window, k: int) -> bool:
    """Whether the sizes along spatial axis k are numbers."""
    axis = k - window.rank
    return is_static([node.inputs[0].shape[axis], node.outputs[0].shape[axis]])


def _cells_behind(node: gs.Node, window: Window, k: int) -> int:
    """Cells of one stride that the last window overhangs.

    One more where the sizes are not known, so that the padded input is never the longer one.
    """
    overhang = (window.extents[k] - 1) // window.strides[k]
    return overhang if _is_known(node, window, k) else overhang + 1


def _padding(e: Emitter, node: gs.Node, window: Window, k: int) -> tuple[Length, Length]:
    """Padding along spatial axis k that makes it a whole number of cells."""
    x, y, axis = node.inputs[0], node.outputs[0], k - window.rank
    begin, stride, behind = window.begins[k], window.strides[k], _cells_behind(node, window, k)
    if isinstance(begin, int) and _is_known(node, window, k):
        return begin, (y.shape[axis] + behind) * stride - x.shape[axis] - begin
    cells = e.add(e.dim(y, axis), behind)
    return begin, e.sub(e.sub(e.mul(cells, stride), e.dim(x, axis)), begin)


def _padded(e: Emitter, node: gs.Node, window: Window) -> gs.Tensor:
    """The input as a whole number of cells along every spatial axis."""
    x, rank = node.inputs[0], window.rank
    lowest = float(np.finfo(x.dtype if x.dtype.kind == "f" else np.float32).min)
    return pad(e, x, {k - rank: _padding(e, node, window, k) for k in range(rank)}, lowest)


def _seen(e: Emitter, node: gs.Node, window: Window) -> list[gs.Tensor]:
    """What each offset of the window sees, at every window; offsets in row-major order."""
    seen = [_padded(e, node, window)]
    for k, taps in enumerate(window.kernel):
        starts = [tap * window.dilations[k] for tap in range(taps)]
        seen = [_every_stride(e, part, node, window, k, s) for part in seen for s in starts]
    return seen


def _every_stride(
    e: Emitter, x: gs.Tensor, node: gs.Node, window: Window, k: int, start: int
) -> gs.Tensor:
    """One value a window along spatial axis k, beginning at `start`."""
    axis, stride, y = k - window.rank, window.strides[k], node.outputs[0]
    length = y.shape[axis]
    if _is_known(node, window, k):
        return e.slice(x, axis, start, start + (length - 1) * stride + 1, stride)
    stop = e.add(e.mul(e.dim(y, axis), stride), start)
    shape = list(x.shape)
    shape[axis] = length
    at = e.ints(axis % len(shape))
    return e.op("Slice", x, e.ints(start), stop, at, e.ints(stride), shape=shape)


def _cut_out(e: Emitter, dx: gs.Tensor, node: gs.Node, window: Window) -> gs.Tensor:
    """x's positions out of a cotangent of the padded input."""
    rank = window.rank
    if not all(_is_known(node, window, k) for k in range(rank)):
        return crop(e, dx, node.inputs[0], window)
    amounts = [_padding(e, node, window, k) for k in range(rank)]
    cut = {k - rank: (-begin, -end) for k, (begin, end) in enumerate(amounts)}
    return e.pad(dx, cut)


def _first_hit(e: Emitter, seen: list[gs.Tensor], y: gs.Tensor) -> gs.Tensor:
    """Number of the first offset that holds each window's maximum (int32)."""
    first: gs.Tensor = e.constant(np.full([1] * len(y.shape), len(seen) - 1), np.int32)
    for n in reversed(range(len(seen) - 1)):
        number = e.constant(n, np.int32)
        first = e.where(e.equal(seen[n], y), number, first)
    return first


def _weave(e: Emitter, residues: dict[tuple[int, ...], gs.Tensor], window: Window) -> gs.Tensor:
    """Interleave the residues of each axis' stride; a residue no offset reaches is zero."""
    parts = dict(residues)
    some = next(iter(parts.values()))
    zero = e.mul(some, 0) if len(parts) < math.prod(window.strides) else some
    for residue in np.ndindex(*window.strides):
        parts.setdefault(residue, zero)
    for k in reversed(range(window.rank)):
        axis = k - window.rank
        joined: dict[tuple[int, ...], gs.Tensor] = {}
        for prefix in np.ndindex(*window.strides[:k]):
            lanes = [parts[(*prefix, r)] for r in range(window.strides[k])]
            joined[prefix] = _interleave(e, lanes, axis)
        parts = joined
    return parts[()]


def _interleave(e: Emitter, lanes: list[gs.Tensor], axis: int) -> gs.Tensor:
    """a0 b0 a1 b1 ... along a negative axis."""
    if len(lanes) == 1:
        return lanes[0]
    rank = len(lanes[0].shape)
    at = axis % rank
    stacked = e.concat([e.unsqueeze(lane, [at + 1]) for lane in lanes], at - rank)
    dims = list(lanes[0].shape)
    dims[at] = dims[at] * len(lanes) if isinstance(dims[at], int) else None
    sizes = [e.dim(lanes[0], a) for a in range(-rank, 0)]
    sizes[at] = e.mul(sizes[at], len(lanes)) if dims[at] is None else e.ints(dims[at])
    return e.reshape(stacked, dims, sizes)
