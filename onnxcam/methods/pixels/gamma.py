"""The gamma rule of layer-wise relevance propagation, for convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.registry import Derivative
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network, given, producer, with_tensors
from onnxcam.methods.pixels.rectifier import is_rectifier

_KEEP_SIGN = (
    "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "Concat", "Reshape", "Flatten",
    "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Pad", "Identity", "Dropout", "Cast",
)  # fmt: skip
_NOT_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softplus", "Abs", "Softmax")
_SMALLEST = 1e-30


def gamma_rule(gamma: float, epsilon: float) -> Callable[..., list[Cotangent | None]]:
    """Summands of y = W x + b that have y's sign count 1 + gamma times.

    Those summands are (|w x| + sign(y) w x) / 2 in size, so that with A = |W| |x| + |b| the
    stressed sum is z = (1 + gamma/2) y + gamma/2 sign(y) A, and with s = c_y y / z

        c_x = (1 + gamma/2) W^T s + gamma/2 sign(x) |W|^T (sign(y) s).

    Behind a ReLU and in front of one, this is Montavon's (W + gamma W^+)^T s.
    """
    half = gamma / 2

    def rule(
        e: Emitter,
        node: gs.Node,
        wanted: Sequence[int],
        dys: Sequence[Cotangent | None],
        plain: Derivative,
    ) -> list[Cotangent | None]:
        assert dys[0] is not None
        dy = dense(e, dys[0])
        (x, w), y = node.inputs[:2], node.outputs[0]
        size = e.unary("Abs", y)
        stressed = e.add(e.mul(size, 1 + half), e.mul(_absolute_sum(e, node), half))
        s = e.mul(dy, e.div(size, e.add(stressed, max(epsilon, _SMALLEST))))
        scaled, absolute = e.mul(w, 1 + half), e.mul(e.unary("Abs", w), half)
        if _not_negative(e.network, x) and _only_rectified(e.network, y):
            dx = _through(e, node, e.add(scaled, absolute), s, plain)
        else:
            stress = _through(e, node, absolute, e.mul(s, e.unary("Sign", y)), plain)
            if not _not_negative(e.network, x):
                stress = e.mul(stress, e.unary("Sign", x))
            dx = e.add(_through(e, node, scaled, s, plain), stress)
        return [dx if i == 0 else None for i in wanted]

    return rule


def _absolute_sum(e: Emitter, node: gs.Node) -> gs.Tensor:
    """A = |W| |x| + |b|."""
    x, y = node.inputs[0], node.outputs[0]
    size = x if _not_negative(e.network, x) else e.unary("Abs", x)
    stored = [t for t in (node.inputs[1], given(node, 2)) if t is not None]
    inputs = [size, *(e.unary("Abs", t) for t in stored)]
    return e.op("Conv", *inputs, shape=list(y.shape), dtype=y.dtype, **node.attrs)


def _through(
    e: Emitter, node: gs.Node, weights: gs.Tensor, dy: gs.Tensor, plain: Derivative
) -> gs.Tensor:
    """What flows back through the convolution if it had other weights."""
    inputs = [node.inputs[0], weights]
    other = with_tensors(node, inputs, node.outputs)
    (dx,) = plain.pull_back(e, other, [0], [dy])
    assert isinstance(dx, gs.Tensor)
    return dx


def _not_negative(network: Network, x: gs.Tensor) -> bool:
    """Whether all values of a tensor are known to be zero or positive."""
    node = producer(x)
    if node is None:
        return False
    if node.op in _KEEP_SIGN:
        sources = node.inputs if node.op == "Concat" else node.inputs[:1]
        return all(_not_negative(network, t) for t in sources)
    return node.op in _NOT_NEGATIVE or is_rectifier(network, node)


def _only_rectified(network: Network, y: gs.Tensor) -> bool:
    """Whether nothing but ReLUs reads a tensor."""
    return bool(y.outputs) and all(is_rectifier(network, node) for node in y.outputs)
