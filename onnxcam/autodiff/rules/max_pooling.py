"""Max pooling, undone one axis at a time with slices, comparisons and padding only.

No `Indices` output (it makes the forward pool 15 to 57 times slower), no scatter, no `Col2Im`
(CUDA has none).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.window import (
    Length,
    Window,
    crop_along,
    kernel_of,
    output_of,
    pad,
    window_of,
)
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

    The maximum of a window is that of its rows' maxima: the pool is one along the last axis, then
    one along the axis before, and so on. The first row that holds the maximum, and the first place
    in that row, are the first in row-major order, and a kernel of h by w costs h + w offsets.
    """
    y, dy = output_of(e, node), dys[0]
    assert dy is not None
    window = window_of(e, node, kernel_of(node))
    dy = full(e, dy, y, range(-window.rank, 0))
    x = node.inputs[0]
    axes = [k for k in range(window.rank) if not _is_identity(window, k)]
    stages: list[tuple[_Whole | _Sliding, gs.Tensor]] = []
    for k in reversed(axes):
        stage = _stage(e, x, node, window, k)
        x = y if k == axes[0] else stage.pooled(e)
        stages.append((stage, x))
    for stage, maxima in reversed(stages):
        dy = stage.undone(e, maxima, dy)
    return dy


@dataclass(frozen=True)
class _Whole:
    """A pool along a negative axis whose only window sees all of x there."""

    x: gs.Tensor
    axis: int

    def pooled(self, e: Emitter) -> gs.Tensor:
        return e.reduce("ReduceMax", self.x, [self.axis])

    def undone(self, e: Emitter, y: gs.Tensor, dy: gs.Tensor) -> gs.Tensor:
        x, axis = self.x, self.axis
        at = axis % len(x.shape)
        first = e.op("ArgMax", x, shape=list(y.shape), dtype=np.dtype(np.int64), axis=at)
        places = e.unsqueeze(e.ints(*range(int(x.shape[axis] or 0))), range(axis + 1, 0))
        return e.where(e.equal(places, first), dy, 0)


@dataclass(frozen=True)
class _Sliding:
    """A pool along spatial axis k alone, of `padded`: a whole number of strides, *cells*."""

    node: gs.Node
    window: Window
    k: int
    padded: gs.Tensor

    @property
    def axis(self) -> int:
        return self.k - self.window.rank

    @property
    def stride(self) -> int:
        return self.window.strides[self.k]

    @property
    def starts(self) -> list[int]:
        """Where each offset of the window is in the first window."""
        return [tap * self.window.dilations[self.k] for tap in range(self.window.kernel[self.k])]

    def pooled(self, e: Emitter) -> gs.Tensor:
        window, k, known = self.window, self.k, _is_known(self.node, self.window, self.k)

        def along(values: list[int]) -> list[int]:
            return [values[k] if j == k else 1 for j in range(window.rank)]

        shape = list(self.padded.shape)
        length = self.node.outputs[0].shape[self.axis]
        shape[self.axis] = length if known else None
        y = e.op(
            "MaxPool",
            self.padded,
            shape=shape,
            kernel_shape=along(window.kernel),
            strides=along(window.strides),
            dilations=along(window.dilations),
        )
        if known:
            return y
        y = e.slice(y, self.axis, 0, -1)  # without the window of the additional cell
        y.shape[self.axis] = length
        return y

    def undone(self, e: Emitter, y: gs.Tensor, dy: gs.Tensor) -> gs.Tensor:
        """For every offset in the window: what it sees of x, at every window, compared with y.

        Offsets that differ by whole strides see the same positions one cell further on; their
        contributions are shifted and added, and the stride's residues are woven together.
        """
        first = _first_hit(e, [_seen(e, self, start) for start in self.starts], y)
        behind = _cells_behind(self.node, self.window, self.k)
        residues: dict[int, gs.Tensor] = {}
        for n, start in enumerate(self.starts):
            cells, residue = divmod(start, self.stride)
            part = e.where(e.equal(first, n), dy, 0)
            part = e.pad(part, {self.axis: (cells, behind - cells)})
            residues[residue] = e.add(residues[residue], part) if residue in residues else part
        some = next(iter(residues.values()))
        zero = e.mul(some, 0) if len(residues) < self.stride else some
        lanes = [residues.get(residue, zero) for residue in range(self.stride)]
        return _cut_out(e, _interleave(e, lanes, self.axis), self)


def _stage(e: Emitter, x: gs.Tensor, node: gs.Node, window: Window, k: int) -> _Whole | _Sliding:
    if _sees_everything(x, node, window, k):
        return _Whole(x, k - window.rank)
    return _Sliding(node, window, k, _padded(e, x, node, window, k))


def _sees_everything(x: gs.Tensor, node: gs.Node, window: Window, k: int) -> bool:
    axis, begin = k - window.rank, window.begins[k]
    size, windows = x.shape[axis], node.outputs[0].shape[axis]
    if windows != 1 or not isinstance(size, int) or not isinstance(begin, int):
        return False
    return window.dilations[k] == 1 and 0 <= begin <= window.kernel[k] - size


def _is_identity(window: Window, k: int) -> bool:
    sizes = (window.kernel[k], window.strides[k])
    return sizes == (1, 1) and window.begins[k] == 0 and window.ends[k] == 0


def _is_known(node: gs.Node, window: Window, k: int) -> bool:
    """Whether the sizes along spatial axis k are numbers."""
    axis = k - window.rank
    return is_static([node.inputs[0].shape[axis], node.outputs[0].shape[axis]])


def _cells_behind(node: gs.Node, window: Window, k: int) -> int:
    """Cells that the last window overhangs.

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


def _padded(e: Emitter, x: gs.Tensor, node: gs.Node, window: Window, k: int) -> gs.Tensor:
    lowest = float(np.finfo(x.dtype if x.dtype.kind == "f" else np.float32).min)
    return pad(e, x, {k - window.rank: _padding(e, node, window, k)}, lowest)


def _seen(e: Emitter, stage: _Sliding, start: int) -> gs.Tensor:
    """What an offset sees at every window."""
    x, y, axis, stride = stage.padded, stage.node.outputs[0], stage.axis, stage.stride
    length = y.shape[axis]
    if _is_known(stage.node, stage.window, stage.k):
        return e.slice(x, axis, start, start + (length - 1) * stride + 1, stride)
    stop = e.add(e.mul(e.dim(y, axis), stride), start)
    shape = list(x.shape)
    shape[axis] = length
    at = e.ints(axis % len(shape))
    return e.op("Slice", x, e.ints(start), stop, at, e.ints(stride), shape=shape)


def _first_hit(e: Emitter, seen: list[gs.Tensor], y: gs.Tensor) -> gs.Tensor:
    """Number of the first offset that holds each window's maximum (int32)."""
    first: gs.Tensor = e.constant(np.full([1] * len(y.shape), len(seen) - 1), np.int32)
    for n in reversed(range(len(seen) - 1)):
        number = e.constant(n, np.int32)
        first = e.where(e.equal(seen[n], y), number, first)
    return first


def _cut_out(e: Emitter, dx: gs.Tensor, stage: _Sliding) -> gs.Tensor:
    """x's positions out of a cotangent of the padded input."""
    node, window, k = stage.node, stage.window, stage.k
    if not _is_known(node, window, k):
        return crop_along(e, dx, node.inputs[0], window, k)
    begin, end = _padding(e, node, window, k)
    assert isinstance(begin, int)
    assert isinstance(end, int)
    return e.pad(dx, {stage.axis: (-begin, -end)})


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
