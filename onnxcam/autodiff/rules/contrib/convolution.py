"""Convolutions with what follows them, and those that keep the channels last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.rules.contrib.fused_activation import activated
from onnxcam.autodiff.rules.layout import channels_first, channels_first_shape, channels_last
from onnxcam.autodiff.rules.window import window_attributes
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, given
from onnxcam.graph.protos import MICROSOFT


@lowering("FusedConv", wrt=(0, 3), domain=MICROSOFT)
def fused_conv(e: Emitter, node: gs.Node) -> gs.Tensor:
    """activation(X * W + B + Z), Z of the result's shape."""
    y = e.op("Conv", *_operands(node), shape=list(node.outputs[0].shape), **window_attributes(node))
    return _finished(e, node, y, given(node, 3))


def _operands(node: gs.Node) -> list[gs.Tensor]:
    return [t for t in node.inputs[:3] if t.name]


def _finished(e: Emitter, node: gs.Node, y: gs.Tensor, z: gs.Tensor | None) -> gs.Tensor:
    y = y if z is None else e.add(y, z)
    name = node.attrs.get("activation", "")
    return activated(e, y, name, node.attrs.get("activation_params", ()), describe(node))


@lowering("NhwcConv", wrt=(0,), domain=MICROSOFT)
@lowering("NhwcFusedConv", wrt=(0, 3), domain=MICROSOFT)
def nhwc_conv(e: Emitter, node: gs.Node) -> gs.Tensor:
    """The same with X (N, *size, C) and W (M, *kernel, C / group)."""
    x, w, *bias = _operands(node)
    shape = channels_first_shape(list(node.outputs[0].shape))
    inputs = [channels_first(e, x), channels_first(e, w), *bias]
    y = channels_last(e, e.op("Conv", *inputs, shape=shape, **window_attributes(node)))
    return _finished(e, node, y, given(node, 3))


@lowering("NhwcMaxPool", wrt=(0,), domain=MICROSOFT)
def nhwc_max_pool(e: Emitter, node: gs.Node) -> gs.Tensor:
    x = channels_first(e, node.inputs[0])
    shape = channels_first_shape(list(node.outputs[0].shape))
    return channels_last(e, e.op("MaxPool", x, shape=shape, **window_attributes(node)))


@lowering("ConvTransposeWithDynamicPads", wrt=(0,), domain=MICROSOFT)
def conv_transpose_with_dynamic_pads(e: Emitter, node: gs.Node) -> gs.Tensor:
    """The standard operator, the padding an input instead of an attribute."""
    pads = given(node, 2)
    known: Sequence[int] | None = None
    if pads is not None:
        value = e.network.value(pads)
        if value is None:
            raise UnsupportedOperatorError(
                f"{describe(node)} is padded by amounts that only the run knows, which has no "
                f"derivative here; choose a target layer behind it"
            )
        known = [int(amount) for amount in np.ravel(value)]
    x, w, b = node.inputs[0], node.inputs[1], given(node, 3)
    attrs = window_attributes(node) | ({} if known is None else {"pads": known})
    if "output_padding" in node.attrs:
        attrs["output_padding"] = node.attrs["output_padding"]
    inputs = [x, w] if b is None else [x, w, b]
    return e.op("ConvTranspose", *inputs, shape=list(node.outputs[0].shape), **attrs)
