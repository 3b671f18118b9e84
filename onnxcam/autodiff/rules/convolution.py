"""Convolution and transposed convolution, any number of spatial axes.

The gradient of a convolution with respect to its input is a transposed convolution. Runtimes are
slow at that one (13 times slower for a depthwise 5x5), and shapes given by `output_shape` are
silently wrong where a stride leaves a remainder, so the form depends on the stride:

* stride 1: a plain `Conv` with the weights flipped and their channel axes swapped;
* stride > 1, depthwise: zeros put between the values, then the same plain `Conv`;
* stride > 1, else: `ConvTranspose` without padding, then the padding sliced off.

With respect to the weights it is a correlation of the input with the cotangent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import fold, full, sum_per_channel, unfold
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.correlation import correlation
from onnxcam.autodiff.rules.structure import repeat, spread
from onnxcam.autodiff.rules.window import Window, crop, kernel_of_weights, window_of, with_pads
from onnxcam.autodiff.sums import stored_product
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@dataclass(frozen=True)
class _Weights:
    """Weights (M, C / group, *kernel) of a convolution from C to M channels."""

    tensor: gs.Tensor
    group: int
    shape: list[int]

    @property
    def outputs(self) -> int:
        return self.shape[0]

    @property
    def inputs(self) -> int:
        return self.shape[1] * self.group

    @property
    def kernel(self) -> list[int]:
        return self.shape[2:]

    @property
    def depthwise(self) -> bool:
        return self.group > 1 and self.shape[1] == 1

    def transposed(self, e: Emitter) -> gs.Tensor:
        """(C, M / group, *kernel): channel axes swapped within each group, kernel flipped."""
        w, kernel = self.tensor, self.kernel
        if self.group == 1:
            w = e.transpose(w, [1, 0, *range(2, 2 + len(kernel))])
        elif not (self.depthwise and self.outputs == self.group):
            per_in, per_out = self.inputs // self.group, self.outputs // self.group
            w = e.reshape(w, [self.group, per_out, per_in, *kernel])
            w = e.transpose(w, [0, 2, 1, *range(3, 3 + len(kernel))])
            w = e.reshape(w, [self.inputs, per_out, *kernel])
        return e.flip(w, range(-len(kernel), 0))


def _weights(node: gs.Node) -> _Weights:
    """A node's weights; those that are computed need a shape that is known."""
    w = node.inputs[1]
    shape = [*w.shape[:2], *kernel_of_weights(node)]
    if not is_static(shape):
        raise UnsupportedOperatorError(
            f"{describe(node)} has as many channels as only the run knows, which has no "
            f"derivative here; fix the model's input size"
        )
    return _Weights(w, node.attrs.get("group", 1), shape)


@vjp("Conv", "ConvTranspose", wrt=(0, 1, 2))
def convolution(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """With respect to its input, either is the other one with the same weights."""
    x, y = node.inputs[0], node.outputs[0]
    if i == 2:
        return sum_per_channel(e, dy, y)
    weights, transposed = _weights(node), node.op == "ConvTranspose"
    window = window_of(e, node, weights.kernel)
    if i == 1:
        wide, narrow = (full(e, dy, y), x) if transposed else (x, full(e, dy, y))
        return correlation(e, wide, narrow, weights.shape, weights.group, window)
    if not transposed:
        dy, weights = _taken_up(e, dy, weights)
    whole = fold(e, full(e, dy, y, range(1 - len(y.shape), 0)), y)
    back = _through_transposed if transposed else _through_plain
    return unfold(e, back(e, whole, x, weights, window), dy, x)


def _through_plain(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, weights: _Weights, window: Window
) -> gs.Tensor:
    if all(stride == 1 for stride in window.strides):
        return _flipped(e, dy, x, weights, window)
    if weights.depthwise:
        return _flipped(e, _apart(e, dy, window), x, weights, window)
    return _transposed(e, dy, x, weights, window)


def _through_transposed(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, weights: _Weights, window: Window
) -> gs.Tensor:
    dy, pads = with_pads(e, dy, window)
    return e.op(
        "Conv",
        dy,
        weights.tensor,
        shape=[dy.shape[0], *x.shape[1:]],
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=pads,
        dilations=window.dilations,
        group=weights.group,
    )


def _taken_up(e: Emitter, dy: gs.Tensor, weights: _Weights) -> tuple[gs.Tensor, _Weights]:
    """A stored factor a channel, as batch normalization has it, as one of the weights instead."""
    factors = stored_product(e, dy, "Mul")
    ones = [1] * len(weights.kernel)
    if factors is None or [1, *factors[1].shape][-2 - len(ones) :] != [1, weights.outputs, *ones]:
        return dy, weights
    g, factor = factors
    scaled = e.mul(weights.tensor, e.reshape(factor, [weights.outputs, 1, *ones]))
    return g, _Weights(scaled, weights.group, weights.shape)


def _apart(e: Emitter, dy: gs.Tensor, window: Window) -> gs.Tensor:
    """dy with zeros between its values."""
    sizes = dy.shape[2:]
    if not is_static(sizes):
        for k, stride in enumerate(window.strides):
            dy = spread(e, dy, k - window.rank, stride)
        return dy
    places = np.indices([n * stride for n, stride in zip(sizes, window.strides, strict=True)])
    steps = np.reshape(window.strides, [-1] + [1] * window.rank)
    mask = e.constant((places % steps == 0).all(axis=0), dy.dtype)
    return e.mul(repeat(e, dy, window.strides), mask)


def _flipped(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, weights: _Weights, window: Window
) -> gs.Tensor:
    """A stride-1 convolution of dy that gives dx at x's spatial size."""
    rank = window.rank
    reach = [extent - 1 for extent in window.extents]
    lengths = dy.shape[2:]
    padding = window.pads
    if padding is not None and all(
        window.strides[k] == 1 or is_static([x.shape[2 + k], lengths[k]]) for k in range(rank)
    ):
        begins = [reach[k] - padding[0][k] for k in range(rank)]
        ends = [
            reach[k] - padding[1][k]
            if window.strides[k] == 1
            else x.shape[2 + k] - lengths[k] - begins[k] + reach[k]
            for k in range(rank)
        ]
        dims: Shape = list(x.shape[2:])
    else:  # cover every position of the padded input, and cut to size afterwards
        padding = None
        begins = ends = reach
        dims = [d + r if isinstance(d, int) else None for d, r in zip(lengths, reach, strict=True)]
    negative = {k - rank: (min(0, begins[k]), min(0, ends[k])) for k in range(rank)}
    dx = e.op(
        "Conv",
        e.pad(dy, negative),
        weights.transposed(e),
        shape=[dy.shape[0], weights.inputs, *dims],
        kernel_shape=window.kernel,
        pads=[max(0, pad) for pad in (*begins, *ends)],
        dilations=window.dilations,
        group=weights.group,
    )
    return crop(e, dx, x, window) if padding is None else dx


def _transposed(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, weights: _Weights, window: Window
) -> gs.Tensor:
    """`ConvTranspose` to x's size; where only the run knows it, longer, and then x is cut out."""
    sizes, rank = x.shape[2:], window.rank
    dims: Shape = [
        length * stride + extent - 1 if isinstance(length, int) else None
        for length, stride, extent in zip(dy.shape[2:], window.strides, window.extents, strict=True)
    ]
    extra, pads = [stride - 1 for stride in window.strides], [0] * 2 * rank
    around = _symmetric(window) if is_static([*sizes, *dims]) else None
    if around is not None:
        extra = [extra[k] + sizes[k] + 2 * around[k] - dims[k] for k in range(rank)]
        pads, dims = [*around, *around], list(sizes)
    dx = e.op(
        "ConvTranspose",
        dy,
        weights.tensor,
        shape=[dy.shape[0], weights.inputs, *dims],
        kernel_shape=window.kernel,
        strides=window.strides,
        dilations=window.dilations,
        pads=pads,
        output_padding=extra,
        group=weights.group,
    )
    return crop(e, dx, x, window) if around is None else dx


def _symmetric(window: Window) -> list[int] | None:
    """Padding that is the same on both sides: the CUDA provider knows no other here."""
    if window.pads is None or window.pads[0] != window.pads[1] or min(window.pads[0]) < 0:
        return None
    return window.pads[0]
