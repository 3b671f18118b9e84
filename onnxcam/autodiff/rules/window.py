"""The sliding window that convolutions and poolings share: kernel, stride, dilation, padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import onnx_graphsurgeon as gs

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe

Length: TypeAlias = int | gs.Tensor
"""A number, or a 1-D int64 tensor of one element where only the run knows it."""


@dataclass(frozen=True)
class Window:
    """A window over `rank` spatial axes; `begins` and `ends` are the padding.

    That of a transposed convolution is the window of the convolution that it is the transpose of.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    begins: list[Length]
    ends: list[Length]

    @property
    def rank(self) -> int:
        return len(self.kernel)

    @property
    def extents(self) -> list[int]:
        """Length that the window covers on each axis, dilation counted."""
        return [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]

    @property
    def pads(self) -> tuple[list[int], list[int]] | None:
        """Begins and ends as numbers; None where only the run knows them."""
        begins = [pad for pad in self.begins if isinstance(pad, int)]
        ends = [pad for pad in self.ends if isinstance(pad, int)]
        return (begins, ends) if len(begins) == len(ends) == self.rank else None


_ATTRIBUTES = (
    "auto_pad", "ceil_mode", "count_include_pad", "dilations", "group", "kernel_shape", "pads",
    "strides",
)  # fmt: skip


def window_attributes(node: gs.Node) -> dict[str, Any]:
    """What a node says of its window, to say of another operator."""
    return {name: node.attrs[name] for name in _ATTRIBUTES if name in node.attrs}


def kernel_of(node: gs.Node) -> list[int]:
    """A pooling's kernel."""
    return [int(k) for k in node.attrs["kernel_shape"]]


def kernel_of_weights(node: gs.Node) -> list[int]:
    """A convolution's kernel, from the shape of its weights."""
    shape = node.inputs[1].shape
    sizes = node.attrs.get("kernel_shape") or (None if shape is None else shape[2:])
    if sizes is None or not is_static(sizes):
        raise UnsupportedOperatorError(
            f"{describe(node)} has a kernel whose size only the run knows, which has no "
            f"derivative here; fix the model's input size"
        )
    return [int(k) for k in sizes]


def window_of(e: Emitter, node: gs.Node, kernel: list[int]) -> Window:
    """Read a node's window, its padding as numbers wherever they can be known."""
    rank = len(kernel)
    strides = list(node.attrs.get("strides", [1] * rank))
    dilations = list(node.attrs.get("dilations", [1] * rank))
    auto = node.attrs.get("auto_pad", "NOTSET")
    begins: list[Length] = []
    ends: list[Length] = []
    if auto.startswith("SAME") or "output_shape" in node.attrs:
        for k in range(rank):
            total = _total(e, node, k - rank, strides[k], kernel[k], dilations[k])
            begin, end = _halves(e, total, auto)
            begins.append(begin)
            ends.append(end)
    elif auto != "VALID":
        pads = list(node.attrs.get("pads", [0] * (2 * rank)))
        begins, ends = pads[:rank], pads[rank:]
    else:
        begins, ends = [0] * rank, [0] * rank
    if node.op == "ConvTranspose":  # whole strides of padding at the output's end read nothing
        extra = node.attrs.get("output_padding", [0] * rank)
        unread = [more // stride * stride for more, stride in zip(extra, strides, strict=True)]
        ends = [minus(e, end, number) for end, number in zip(ends, unread, strict=True)]
    return Window(kernel, strides, dilations, begins, ends)


def _total(e: Emitter, node: gs.Node, axis: int, stride: int, kernel: int, dilation: int) -> Length:
    """Padding that SAME or an `output_shape` amounts to along an axis."""
    extent = dilation * (kernel - 1) + 1
    if node.op == "ConvTranspose":
        return _not_negative(e, _excess(e, node, axis, stride, extent))
    # As in ONNX Runtime: the padding is negative where the stride is longer than the window, for a
    # convolution by one less, and a pooling's dilation does not count.
    if node.op != "Conv":
        return _lack(e, node, axis, stride, kernel)
    total = _lack(e, node, axis, stride, extent)
    if isinstance(total, int):
        return max(total, min(total + 1, 0))
    if extent >= stride:
        return _not_negative(e, total)
    less = e.op("Min", e.add(total, 1), e.ints(0), shape=[1])
    return e.op("Max", total, less, shape=[1])


def _lack(e: Emitter, node: gs.Node, axis: int, stride: int, extent: int) -> Length:
    """What ceil(size / stride) windows need beyond the size."""
    size = node.inputs[0].shape[axis]
    if isinstance(size, int):
        return (-(-size // stride) - 1) * stride + extent - size
    if stride == 1:
        return extent - 1
    length = e.dim(node.inputs[0], axis)
    cells = e.div(e.add(length, stride - 1), stride)
    return e.sub(e.add(e.mul(cells, stride), extent - stride), length)


def _excess(e: Emitter, node: gs.Node, axis: int, stride: int, extent: int) -> Length:
    """What a transposed convolution makes beyond its `output_shape`; without one, beyond SAME.

    SAME stands for the input's size times the stride, whatever that size is.
    """
    size = node.inputs[0].shape[axis]
    beyond = extent - stride
    if "output_padding" in node.attrs:
        beyond += node.attrs["output_padding"][axis]
    if "output_shape" not in node.attrs:
        return beyond
    beyond -= node.attrs["output_shape"][axis]
    if isinstance(size, int):
        return size * stride + beyond
    return e.add(e.mul(e.dim(node.inputs[0], axis), stride), beyond)


def _not_negative(e: Emitter, length: Length) -> Length:
    if isinstance(length, int):
        return max(0, length)
    return e.op("Max", length, e.ints(0), shape=[1])


def _halves(e: Emitter, total: Length, auto: str) -> tuple[Length, Length]:
    """Padding in front and behind; the odd one is behind for SAME_UPPER, else in front."""
    upper = auto == "SAME_UPPER"
    if isinstance(total, int):
        begin = int((total if upper else total + 1) / 2)  # towards zero, as ONNX divides
        return begin, total - begin
    front = e.div(total if upper else e.add(total, 1), 2)
    return front, e.sub(total, front)


def minus(e: Emitter, a: Length, b: Length) -> Length:
    """The difference of two lengths."""
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    return a if isinstance(b, int) and b == 0 else e.sub(a, b)


def skipped(e: Emitter, padding: Length) -> Length:
    """How many values a negative padding leaves out."""
    return _not_negative(e, minus(e, 0, padding))


def as_tensor(e: Emitter, length: Length) -> gs.Tensor:
    """A length as a 1-D int64 tensor."""
    return e.ints(length) if isinstance(length, int) else length


def pad(
    e: Emitter, x: gs.Tensor, amounts: dict[int, tuple[Length, Length]], value: float = 0.0
) -> gs.Tensor:
    """`Emitter.pad` by amounts some of which only the run knows."""
    known: dict[int, tuple[int, int]] = {}
    for axis, (before, after) in amounts.items():
        if isinstance(before, int) and isinstance(after, int):
            known[axis] = (before, after)
    x = e.pad(x, known, value)
    rest = {axis: both for axis, both in amounts.items() if axis not in known}
    if not rest:
        return x
    axes = range(-len(x.shape), 0)
    parts = [as_tensor(e, rest.get(axis, (0, 0))[side]) for side in (0, 1) for axis in axes]
    shape = [None if axis in rest else x.shape[axis] for axis in axes]
    fill = e.constant(value, x.dtype)
    return e.op("Pad", x, e.concat(parts, -1), fill, shape=shape, mode="constant")


def with_pads(e: Emitter, x: gs.Tensor, window: Window) -> tuple[gs.Tensor, list[int]]:
    """x and the `pads` of an operator over it; what no attribute can say is padded before."""
    if window.pads is not None:
        begins, ends = window.pads
        if min(*begins, *ends) >= 0:
            return x, [*begins, *ends]
    by_axis = zip(range(-window.rank, 0), window.begins, window.ends, strict=True)
    amounts = {axis: (begin, end) for axis, begin, end in by_axis}
    return pad(e, x, amounts), [0] * (2 * window.rank)


def crop(e: Emitter, dx: gs.Tensor, x: gs.Tensor, window: Window) -> gs.Tensor:
    """Cut x's positions out of a cotangent of the padded input."""
    for k in range(window.rank):
        dx = crop_along(e, dx, x, window, k)
    return dx


def crop_along(e: Emitter, dx: gs.Tensor, x: gs.Tensor, window: Window, k: int) -> gs.Tensor:
    """Cut x's positions along spatial axis k out of a cotangent of the padded input."""
    begin, axis = window.begins[k], k - window.rank
    size = x.shape[axis]
    if window.kernel[k] < window.strides[k]:  # the padding may be negative: values skipped
        dx = pad(e, dx, {axis: (skipped(e, begin), skipped(e, window.ends[k]))})
        begin = _not_negative(e, begin)
    if isinstance(begin, int) and isinstance(size, int):
        return e.slice(dx, axis, begin, begin + size)
    start = as_tensor(e, begin)
    stop = e.add(start, e.dim(x, axis))
    shape = list(dx.shape)
    shape[axis] = size
    at = e.ints(axis % len(shape))
    return e.op("Slice", dx, start, stop, at, e.ints(1), shape=shape)


def output_of(e: Emitter, node: gs.Node) -> gs.Tensor:
    """A pooling's output, of a shape that the runtime cannot mistake.

    Where onnx infers another number of windows than ONNX Runtime then computes, the two are told
    apart by a reshape; otherwise the runtime would refuse what is compared with the output.
    """
    y = node.outputs[0]
    same = node.attrs.get("auto_pad", "NOTSET").startswith("SAME")
    doubtful = node.attrs.get("ceil_mode", 0) or (
        same and max(node.attrs.get("dilations", [1])) > 1
    )
    unknown = [dim for dim in y.shape if not isinstance(dim, int)]
    if not doubtful or len(unknown) > 1:
        return y
    dims = e.ints(*(dim if isinstance(dim, int) else -1 for dim in y.shape))
    return e.op("Reshape", y, dims, shape=list(y.shape))
