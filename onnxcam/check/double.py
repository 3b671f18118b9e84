"""A model in float64, evaluated by onnx's reference implementation.

ONNX Runtime's CPU provider has no float64 kernels for convolutions. The reference implementation
is float64 wherever its inputs are; its sliding windows, which it walks one by one, are replaced by
NumPy's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from onnxcam.check.types import in_type

_SLOW = {
    "Resize", "GridSample", "RoiAlign", "DeformConv", "LpPool", "Loop", "Scan",
    "LSTM", "GRU", "RNN", "Col2Im", "MaxUnpool", "AffineGrid",
}  # fmt: skip
"""Operators that the reference implementation walks number by number, in Python."""


def is_quick(model: onnx.ModelProto) -> bool:
    """Whether the reference implementation gets through a model in seconds."""
    return not any(node.op_type in _SLOW or node.domain for node in model.graph.node)


def evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    """The model in float64, ready to be run with float64 feeds."""
    return ReferenceEvaluator(
        in_type(model, onnx.TensorProto.DOUBLE), new_ops=[Conv, ConvTranspose, MaxPool, AveragePool]
    )


class _Window:
    """A sliding window over the spatial axes of x, as the specification places it."""

    def __init__(
        self,
        x: np.ndarray,
        kernel: Sequence[int],
        auto_pad: str | None,
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
        dilations: Sequence[int] | None,
        ceil_mode: int | None = 0,
    ) -> None:
        rank = len(kernel)
        self.kernel = list(kernel)
        self.strides = list(strides or [1] * rank)
        self.dilations = list(dilations or [1] * rank)
        self.extents = [d * (k - 1) + 1 for k, d in zip(kernel, self.dilations, strict=True)]
        sizes = x.shape[2:]
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            self.pads = [self._same(sizes[k], k, auto_pad) for k in range(rank)]
        else:
            given = list(pads or [0] * (2 * rank))
            self.pads = list(zip(given[:rank], given[rank:], strict=True))
        # With ceil_mode the last window may hang over the end, if it starts inside.
        self.beyond = [
            self._overhang(sizes[k] + sum(self.pads[k]), sizes[k] + self.pads[k][0], k)
            if ceil_mode
            else 0
            for k in range(rank)
        ]

    def _same(self, size: int, k: int, auto_pad: str) -> tuple[int, int]:
        stride = self.strides[k]
        total = max(0, (-(-size // stride) - 1) * stride + self.extents[k] - size)
        small, large = total // 2, total - total // 2
        return (small, large) if auto_pad == "SAME_UPPER" else (large, small)

    def _overhang(self, padded: int, last_start: int, k: int) -> int:
        steps = -(-(padded - self.extents[k]) // self.strides[k])
        steps -= steps * self.strides[k] >= last_start
        return max(0, steps * self.strides[k] + self.extents[k] - padded)

    def views(self, x: np.ndarray, fill: float, beyond: float) -> np.ndarray:
        """(N, C, *out, *kernel), `fill` in the padding and `beyond` behind it."""
        flat = [(0, 0), (0, 0)]
        padded = np.pad(x, [*flat, *self.pads], constant_values=fill)
        padded = np.pad(padded, [*flat, *((0, b) for b in self.beyond)], constant_values=beyond)
        views = sliding_window_view(padded, self.extents, tuple(range(2, x.ndim)))
        every = slice(None)
        steps = [every, every, *(slice(None, None, s) for s in self.strides)]
        return views[(*steps, *(slice(None, None, d) for d in self.dilations))]


class Conv(OpRun):
    """Convolution as one matrix product a group."""

    def _run(  # type: ignore[no-untyped-def]
        self, x, w, b=None, auto_pad=None, dilations=None, group=None, kernel_shape=None,
        pads=None, strides=None,
    ):  # fmt: skip
        window = _Window(x, w.shape[2:], auto_pad, pads, strides, dilations)
        rank = x.ndim - 2
        axes = [1, *range(2 + rank, 2 + 2 * rank)]
        parts = [
            np.tensordot(window.views(xs, 0, 0), ws, (axes, range(1, 2 + rank)))
            for xs, ws in zip(np.split(x, group or 1, 1), np.split(w, group or 1, 0), strict=True)
        ]
        y = np.moveaxis(np.concatenate(parts, -1), -1, 1)
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


class ConvTranspose(OpRun):
    """Transposed convolution: every offset of the kernel adds a strided copy."""

    def _run(  # type: ignore[no-untyped-def]
        self, x, w, b=None, auto_pad=None, dilations=None, group=None, kernel_shape=None,
        output_padding=None, output_shape=None, pads=None, strides=None,
    ):  # fmt: skip
        rank, kernel = x.ndim - 2, w.shape[2:]
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        more = output_padding or [0] * rank
        groups = group or 1
        parts = [
            np.tensordot(xs, ws, (1, 0))  # (N, *in, M / group, *kernel)
            for xs, ws in zip(np.split(x, groups, 1), np.split(w, groups, 0), strict=True)
        ]
        taps = np.moveaxis(np.concatenate(parts, 1 + rank), 1 + rank, 1)
        sizes = [
            s * (n - 1) + d * (k - 1) + 1 + m
            for n, k, s, d, m in zip(x.shape[2:], kernel, strides, dilations, more, strict=True)
        ]
        full = np.zeros((*taps.shape[:2], *sizes), x.dtype)
        for tap in np.ndindex(*kernel):
            places = [
                slice(d * t, d * t + s * (n - 1) + 1, s)
                for t, n, s, d in zip(tap, x.shape[2:], strides, dilations, strict=True)
            ]
            full[(slice(None), slice(None), *places)] += taps[(..., *tap)]
        if auto_pad in ("SAME_UPPER", "SAME_LOWER") and not output_shape:
            output_shape = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
        begins, ends = (list(pads or [0] * 2 * rank)[i * rank : (i + 1) * rank] for i in (0, 1))
        if output_shape:
            wanted = output_shape[-rank:]
            totals = [max(0, size - n) for size, n in zip(sizes, wanted, strict=True)]
            begins = [t // 2 if auto_pad == "SAME_UPPER" else t - t // 2 for t in totals]
            ends = [t - begin for t, begin in zip(totals, begins, strict=True)]
        kept = [slice(b, size - e) for b, e, size in zip(begins, ends, sizes, strict=True)]
        y = full[(slice(None), slice(None), *kept)]
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


class MaxPool(OpRun):
    def _run(  # type: ignore[no-untyped-def]
        self, x, auto_pad=None, ceil_mode=None, dilations=None, kernel_shape=None, pads=None,
        storage_order=None, strides=None,
    ):  # fmt: skip
        window = _Window(x, kernel_shape, auto_pad, pads, strides, dilations, ceil_mode)
        views = window.views(x, -np.inf, -np.inf)
        return (views.max(tuple(range(x.ndim, views.ndim))),)


class AveragePool(OpRun):
    def _run(  # type: ignore[no-untyped-def]
        self, x, auto_pad=None, ceil_mode=None, count_include_pad=None, dilations=None,
        kernel_shape=None, pads=None, strides=None,
    ):  # fmt: skip
        window = _Window(x, kernel_shape, auto_pad, pads, strides, dilations, ceil_mode)
        views = window.views(x, 0, 0)
        axes = tuple(range(x.ndim, views.ndim))
        counted = window.views(np.ones_like(x[:1, :1]), float(bool(count_include_pad)), 0)
        return (views.sum(axes) / counted.sum(axes),)
