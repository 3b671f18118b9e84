"""Convolution and transposed convolution, any number of spatial axes.

The gradient of a convolution with respect to its input is a transposed convolution. Runtimes are
slow at that one (13 times slower for a depthwise 5x5), and shapes given by `output_shape` are
silently wrong where a stride leaves a remainder, so the form depends on the stride:

* stride 1: a plain `Conv` with the weights flipped and their channel axes swapped;
* stride > 1, depthwise: zeros put between the values, then the same plain `Conv`;
* stride > 1, else: `ConvTranspose` without padding, then the padding sliced off.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import fold, full, unfold
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.structure import spread
from onnxcam.autodiff.rules.window import Window, crop, window_of
from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter


@dataclass(frozen=True)
class _Weights:
    """Weights (M, C / group, *kernel) of a convolution from C to M channels."""

    tensor: gs.Tensor
    group: int

    @property
    def outputs(self) -> int:
        return int(self.tensor.shape[0])

    @property
    def inputs(self) -> int:
        return int(self.tensor.shape[1]) * self.group

    @property
    def kernel(self) -> list[int]:
        return [int(k) for k in self.tensor.shape[2:]]

    @property
    def depthwise(self) -> bool:
        return self.group > 1 and self.tensor.shape[1] == 1

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


@vjp("Conv")
def conv(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    x, y = node.inputs[0], node.outputs[0]
    weights = _Weights(node.inputs[1], node.attrs.get("group", 1))
    window = window_of(e, node, weights.kernel)
    whole = fold(e, full(e, dy, y, range(1 - len(y.shape), 0)), y)
    if all(stride == 1 for stride in window.strides):
        dx = _flipped(e, whole, x, weights, window)
    elif weights.depthwise:
        for k, stride in enumerate(window.strides):
            whole = spread(e, whole, k - window.rank, stride)
        dx = _flipped(e, whole, x, weights, window)
    else:
        dx = _transposed(e, whole, x, weights, window)
    return unfold(e, dx, dy, x)


def _flipped(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, weights: _Weights, window: Window
) -> gs.Tensor:
    """A stride-1 convolution of dy that gives dx at x's spatial size."""
    rank = window.rank
    reach = [extent - 1 for extent in window.extents]
    lengths = dy.shape[2:]
    exact = window.begins is not None and all(
        window.strides[k] == 1 or is_static([x.shape[2 + k], lengths[k]]) for k in range(rank)
    )
    if exact:
        assert window.begins is not None
        begins = [reach[k] - window.begins[k] for k in range(rank)]
        ends = [
            reach[k] - window.ends[k]
            if window.strides[k] == 1
            else x.shape[2 + k] - lengths[k] - begins[k] + reach[k]
            for k in range(rank)
        ]
        dims: Shape = list(x.shape[2:])
    else:  # cover every position of the padded input, and cut to size afterwards
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
    return dx if exact else crop(e, dx, x, window)


def _transposed(
    e: Emitter, dy: gs.Tensor, x: gs.Tensor, weights: _Weights, window: Window
) -> gs.Tensor:
    """`ConvTranspose` over the padded input, one stride longer than needed, then x cut out."""
    dims: Shape = [
        length * stride + extent - 1 if isinstance(length, int) else None
        for length, stride, extent in zip(dy.shape[2:], window.strides, window.extents, strict=True)
    ]
    dx = e.op(
        "ConvTranspose",
        dy,
        weights.tensor,
        shape=[dy.shape[0], weights.inputs, *dims],
        kernel_shape=window.kernel,
        strides=window.strides,
        dilations=window.dilations,
        output_padding=[stride - 1 for stride in window.strides],
        group=weights.group,
    )
    return crop(e, dx, x, window)


@vjp("ConvTranspose")
def conv_transpose(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The convolution that it is the transpose of, with the same weights."""
    x, w, y = node.inputs[0], node.inputs[1], node.outputs[0]
    window = window_of(e, node, [int(k) for k in w.shape[2:]])
    whole = fold(e, full(e, dy, y, range(1 - len(y.shape), 0)), y)
    pads = window.static_pads(node)
    dx = e.op(
        "Conv",
        whole,
        w,
        shape=[whole.shape[0], *x.shape[1:]],
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=pads,
        dilations=window.dilations,
        group=node.attrs.get("group", 1),
    )
    return unfold(e, dx, dy, x)
