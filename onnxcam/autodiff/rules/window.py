"""The sliding window that convolutions and poolings share: kernel, stride, dilation, padding."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe


@dataclass(frozen=True)
class Window:
    """A window over `rank` spatial axes.

    `begins` and `ends` are the padding; None when SAME padding depends on a size that only the
    run knows, and then `begin_tensors` holds the padding in front, a 1-D int64 tensor an axis.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    begins: list[int] | None
    ends: list[int]
    begin_tensors: list[gs.Tensor]

    @property
    def rank(self) -> int:
        return len(self.kernel)

    @property
    def extents(self) -> list[int]:
        """Length that the window covers on each axis, dilation counted."""
        return [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]

    def static_pads(self, node: gs.Node) -> list[int]:
        """Begins and ends in ONNX's order."""
        if self.begins is None:
            raise UnsupportedOperatorError(
                f"{describe(node)} has SAME padding and an input size that only the run knows, "
                f"which has no derivative here; fix the model's input size"
            )
        return [*self.begins, *self.ends]


def kernel_of(node: gs.Node) -> list[int]:
    """A pooling's kernel."""
    return [int(k) for k in node.attrs["kernel_shape"]]


def window_of(e: Emitter, node: gs.Node, kernel: list[int]) -> Window:
    """Read a node's window. SAME padding is turned into numbers where the size is known."""
    rank = len(kernel)
    strides = list(node.attrs.get("strides", [1] * rank))
    dilations = list(node.attrs.get("dilations", [1] * rank))
    auto = node.attrs.get("auto_pad", "NOTSET")
    x, y = node.inputs[0], node.outputs[0]
    if auto == "VALID":
        pads = [0] * (2 * rank)
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        return _same(e, node, kernel, strides, dilations, auto == "SAME_LOWER")
    else:
        pads = list(node.attrs.get("pads", [0] * (2 * rank)))
    if node.op == "ConvTranspose" and "output_shape" in node.attrs:
        pads = _pads_for_output(node, kernel, strides, dilations, x, y)
    return Window(kernel, strides, dilations, pads[:rank], pads[rank:], [])


def _same(
    e: Emitter,
    node: gs.Node,
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    lower: bool,
) -> Window:
    """SAME: ceil(size / stride) outputs; the padding is split evenly, the odd one by the name."""
    x, y = node.inputs[0], node.outputs[0]
    long, short = (y, x) if node.op == "ConvTranspose" else (x, y)
    begins: list[int] = []
    ends: list[int] = []
    tensors: list[gs.Tensor] = []
    static = True
    for k in range(len(kernel)):
        extent = dilations[k] * (kernel[k] - 1) + 1
        size, length = long.shape[2 + k], short.shape[2 + k]
        if isinstance(size, int) and isinstance(length, int):
            total = max(0, (length - 1) * strides[k] + extent - size)
            begin = total - total // 2 if lower else total // 2
            begins.append(begin)
            ends.append(total - begin)
            tensors.append(e.ints(begin))
        elif strides[k] == 1:
            begin = extent // 2 if lower else (extent - 1) // 2
            begins.append(begin)
            ends.append(extent - 1 - begin)
            tensors.append(e.ints(begin))
        else:
            static = False
            axis = k - len(kernel)
            reach = e.add(e.mul(e.sub(e.dim(short, axis), 1), strides[k]), extent)
            total_t = e.op("Max", e.sub(reach, e.dim(long, axis)), e.ints(0), shape=[1])
            half = e.div(e.add(total_t, 1) if lower else total_t, 2)
            begins.append(0)
            ends.append(0)
            tensors.append(half)
    return Window(kernel, strides, dilations, begins if static else None, ends, tensors)


def _pads_for_output(
    node: gs.Node,
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    x: gs.Tensor,
    y: gs.Tensor,
) -> list[int]:
    """The padding that ConvTranspose's `output_shape` amounts to (the odd one in front)."""
    extra = node.attrs.get("output_padding", [0] * len(kernel))
    begins, ends = [], []
    for k in range(len(kernel)):
        size, length = x.shape[2 + k], y.shape[2 + k]
        if not isinstance(size, int) or not isinstance(length, int):
            raise UnsupportedOperatorError(
                f"{describe(node)} has an output_shape and an input size that only the run "
                f"knows, which has no derivative here; fix the model's input size"
            )
        extent = dilations[k] * (kernel[k] - 1) + 1
        total = max(0, strides[k] * (size - 1) + extra[k] + extent - length)
        begins.append(total - total // 2)
        ends.append(total // 2)
    return [*begins, *ends]


def crop(e: Emitter, dx: gs.Tensor, x: gs.Tensor, window: Window) -> gs.Tensor:
    """Cut x's positions out of a cotangent of the padded input."""
    for k in range(window.rank):
        axis = k - window.rank
        size = x.shape[axis]
        if window.begins is not None and isinstance(size, int):
            begin = window.begins[k]
            dx = e.slice(dx, axis, begin, begin + size)
            continue
        start = e.ints(window.begins[k]) if window.begins is not None else window.begin_tensors[k]
        stop = e.add(start, e.dim(x, axis))
        shape = list(dx.shape)
        shape[axis] = size
        at = e.ints(axis % len(shape))
        dx = e.op("Slice", dx, start, stop, at, e.ints(1), shape=shape)
    return dx
