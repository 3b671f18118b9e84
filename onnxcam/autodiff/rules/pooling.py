"""Poolings.

Max pooling is undone with slices, comparisons and padding only: no `Indices` output (it makes the
forward pool 15 to 57 times slower), no scatter, no `Col2Im` (CUDA has none).
"""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import fold, full, lead, unfold
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.structure import spread
from onnxcam.autodiff.rules.window import Window, crop, window_of
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter, is_static
from onnxcam.graph.network import describe


@vjp("GlobalAveragePool")
def global_average_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """dy / n, left at (N, C, 1, 1)."""
    x = node.inputs[0]
    return e.div(dy, e.size(x, range(2 - len(x.shape), 0)))


@vjp("GlobalMaxPool")
def global_max_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """To the maximum; equal maxima share."""
    x, y = node.inputs[0], node.outputs[0]
    hit = e.cast(e.equal(x, y), x.dtype)
    share = e.div(hit, e.reduce("ReduceSum", hit, range(2 - len(x.shape), 0)))
    return e.mul(share, dy)


def _kernel(node: gs.Node) -> list[int]:
    return [int(k) for k in node.attrs["kernel_shape"]]


@vjp("AveragePool")
def average_pool(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Every position gets dy / (size of the window) from each window that it lies in."""
    x, y = node.inputs[0], node.outputs[0]
    window = window_of(e, node, _kernel(node))
    if list(y.shape[2:]) == [1] * window.rank and _covers_all(x, window):
        counted = math.prod(window.kernel) if node.attrs.get("count_include_pad", 0) else None
        return e.div(dy, counted or e.size(x, range(-window.rank, 0)))
    whole = full(e, dy, y, range(-window.rank, 0))
    whole = fold(e, _per_window(e, node, whole, window), y)
    if _is_tiling(x, window):
        tiled = _repeat(e, whole, window)
        return unfold(e, tiled, dy, x)
    for k, stride in enumerate(window.strides):
        whole = spread(e, whole, k - window.rank, stride)
    return unfold(e, _window_sums(e, whole, x, window), dy, x)


def _covers_all(x: gs.Tensor, window: Window) -> bool:
    """Whether a single window position sees the whole input."""
    return window.begins is not None and all(
        isinstance(size, int) and extent - begin >= size and dilation == 1
        for size, extent, begin, dilation in zip(
            x.shape[2:], window.extents, window.begins, window.dilations, strict=True
        )
    )


def _is_tiling(x: gs.Tensor, window: Window) -> bool:
    """Whether the windows lie edge to edge and cover the input exactly."""
    return (
        window.kernel == window.strides
        and window.begins == [0] * window.rank
        and window.ends == [0] * window.rank
        and all(d == 1 for d in window.dilations)
        and is_static(x.shape[2:])
        and all(s % k == 0 for s, k in zip(x.shape[2:], window.kernel, strict=True))
    )


def _per_window(e: Emitter, node: gs.Node, dy: gs.Tensor, window: Window) -> gs.Tensor:
    """dy divided by how many values each window averages."""
    x, y = node.inputs[0], node.outputs[0]
    volume = math.prod(window.kernel)
    pads = window.static_pads(node)
    ceil = node.attrs.get("ceil_mode", 0)
    include = node.attrs.get("count_include_pad", 0)
    if not ceil and (include or not any(pads)):
        return e.mul(dy, 1 / volume)
    if not is_static(x.shape[2:]):
        raise UnsupportedOperatorError(
            f"{describe(node)} averages windows that lie partly outside an input whose size only "
            f"the run knows, which has no derivative here; fix the model's input size"
        )
    counts = np.ones([1] * window.rank)
    for k in range(window.rank):
        first = 0 if not include else -pads[k]
        last = x.shape[2 + k] + (pads[k + window.rank] if include else 0)
        starts = np.arange(y.shape[2 + k]) * window.strides[k] - pads[k]
        taps = starts[:, None] + np.arange(window.kernel[k]) * window.dilations[k]
        inside = ((taps >= first) & (taps < last)).sum(axis=1)
        counts = counts * inside.reshape([-1 if a == k else 1 for a in range(window.rank)])
    return e.mul(dy, e.constant(1 / counts, dy.dtype))


def _repeat(e: Emitter, dy: gs.Tensor, window: Window) -> gs.Tensor:
    """Every value as a block of kernel size."""
    scales = e.constant([1.0, 1.0, *window.kernel], np.float32)
    empty = gs.Variable.empty()
    dims = [d * k for d, k in zip(dy.shape[2:], window.kernel, strict=True)]
    return e.op(
        "Resize",
        dy,
        empty,
        scales,
        shape=[*dy.shape[:2], *dims],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _window_sums(e: Emitter, dy: gs.Tensor, x: gs.Tensor, window: Window) -> gs.Tensor:
    """Sum of dy (zeros between its values) over the windows that reach each position of x.

    The window is the pooling's own, turned round; `AveragePool` times its size is the fastest
    sum that there is, but it knows no dilation before opset 19, so pads stay inside the kernel.
    """
    rank = window.rank
    begins = window.begins or [0] * rank
    if any(d != 1 for d in window.dilations):
        raise UnsupportedOperatorError(
            "a dilated AveragePool has no derivative here; choose a target layer behind it"
        )
    reach = [k - 1 for k in window.kernel]
    fixed = is_static(x.shape[2:]) and is_static(dy.shape[2:])
    if fixed:
        front = [r - b for r, b in zip(reach, begins, strict=True)]
        back = [
            size - length - f + r
            for size, length, f, r in zip(x.shape[2:], dy.shape[2:], front, reach, strict=True)
        ]
        dims = list(x.shape[2:])
    else:
        front = back = reach
        dims = [None] * rank
    # Pad by hand what AveragePool would not accept: negative amounts and a whole kernel or more.
    odd = {
        k - rank: (front[k] if front[k] < 0 else 0, back[k] if not 0 <= back[k] <= reach[k] else 0)
        for k in range(rank)
    }
    dy = e.pad(dy, odd)
    pads = [max(0, f) for f in front] + [b if 0 <= b <= r else 0 for b, r in zip(back, reach)]
    summed = e.op(
        "AveragePool",
        dy,
        shape=[*dy.shape[:2], *dims],
        kernel_shape=window.kernel,
        pads=pads,
        count_include_pad=1,
    )
    dx = e.mul(summed, float(math.prod(window.kernel)))
    return dx if fixed else crop(e, dx, x, window)


@vjp("MaxPool")
def max_pool(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor | None) -> gs.Tensor:
    """To the first maximum of each window in row-major order, as PyTorch does.

    For every offset in the window: the strided slice of x that the offset sees, compared with y.
    Offsets that differ by whole strides see the same positions one cell further on; their
    contributions are shifted and added, and the stride's residues are woven together at the end.
    """
    x, y, dy = node.inputs[0], node.outputs[0], dys[0]
    assert dy is not None
    window = window_of(e, node, _kernel(node))
    pads = window.static_pads(node)
    rank = window.rank
    if not is_static([*x.shape[2:], *y.shape[2:]]):
        raise UnsupportedOperatorError(
            f"{describe(node)} has an input size that only the run knows, which has no "
            f"derivative here; fix the model's input size"
        )
    leading = lead(dy, y)
    dy = full(e, dy, y, range(-rank, 0))
    length = list(y.shape[2:])
    # Cells of one stride that the padded input spans, with the last window's overhang.
    cells = [
        length[k] + (window.extents[k] - 1) // window.strides[k] for k in range(rank)
    ]
    padded_size = [c * s for c, s in zip(cells, window.strides, strict=True)]
    ends = [padded_size[k] - x.shape[2 + k] - pads[k] for k in range(rank)]
    lowest = float(np.finfo(np.float16 if x.dtype == np.float16 else np.float32).min)
    padded = e.pad(x, {k - rank: (pads[k], ends[k]) for k in range(rank)}, lowest)
    offsets = list(np.ndindex(*window.kernel))
    seen = [_seen(e, padded, window, length, offset) for offset in offsets]
    first = _first_hit(e, seen, y)
    residues: dict[tuple[int, ...], gs.Tensor] = {}
    for n, offset in enumerate(offsets):
        part = e.where(e.equal(first, n), dy, 0)
        steps = [offset[k] * window.dilations[k] for k in range(rank)]
        shift = {
            k - rank: (
                steps[k] // window.strides[k],
                cells[k] - length[k] - steps[k] // window.strides[k],
            )
            for k in range(rank)
        }
        residue = tuple(steps[k] % window.strides[k] for k in range(rank))
        part = e.pad(part, shift)
        residues[residue] = e.add(residues[residue], part) if residue in residues else part
    dx = _weave(e, residues, window, leading + 2)
    undo = {k - rank: (-pads[k], -ends[k]) for k in range(rank)}
    return e.pad(dx, undo)


def _seen(
    e: Emitter, padded: gs.Tensor, window: Window, length: list[int], offset: tuple[int, ...]
) -> gs.Tensor:
    """What one offset of the window sees, at every window."""
    for k, tap in enumerate(offset):
        start = tap * window.dilations[k]
        stride = window.strides[k]
        stop = start + (length[k] - 1) * stride + 1
        padded = e.slice(padded, k - window.rank, start, stop, stride)
    return padded


def _first_hit(e: Emitter, seen: list[gs.Tensor], y: gs.Tensor) -> gs.Tensor:
    """Number of the first offset that holds each window's maximum (int32)."""
    first: gs.Tensor = e.constant(np.full([1] * len(y.shape), len(seen) - 1), np.int32)
    for n in reversed(range(len(seen) - 1)):
        number = e.constant(n, np.int32)
        first = e.where(e.equal(seen[n], y), number, first)
    return first


def _weave(
    e: Emitter, residues: dict[tuple[int, ...], gs.Tensor], window: Window, front: int
) -> gs.Tensor:
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
    dims[at] = dims[at] * len(lanes)
    sizes = [e.dim(lanes[0], a) for a in range(-rank, 0)]
    sizes[at] = e.ints(dims[at])
    return e.reshape(stacked, dims, sizes)
