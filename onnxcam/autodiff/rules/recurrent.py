"""LSTM, GRU and RNN as a `Scan` over the steps; the products with the inputs are taken before it.

Steps behind the end of a shorter sequence (`sequence_lens`) leave the state alone and put out
zeros, so that the backward direction of such a sequence starts at its own end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.lowering import lowering
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.body import close
from onnxcam.graph.dims import Dim
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe

Activation = Callable[[Emitter, gs.Tensor], gs.Tensor]
Step = Callable[[Emitter, "_Direction", gs.Tensor, list[gs.Tensor]], list[gs.Tensor]]

_DEFAULTS = {
    "Affine": (1.0, 0.0),
    "LeakyRelu": (0.01, 0.0),
    "ThresholdedRelu": (1.0, 0.0),
    "ScaledTanh": (1.0, 1.0),
    "HardSigmoid": (0.2, 0.5),
    "Elu": (1.0, 0.0),
}
_PLAIN = ("Relu", "Tanh", "Sigmoid", "Softsign", "Softplus")
_ONLY_ALPHA = ("LeakyRelu", "ThresholdedRelu", "Elu")


@dataclass(frozen=True)
class _Direction:
    """One direction: recurrent weights (gates * H, H), their biases, peepholes, activations."""

    node: gs.Node
    hidden: int
    weights: gs.Tensor
    bias: gs.Tensor | None
    peephole: gs.Tensor | None
    activations: list[Activation]

    def product(self, e: Emitter, h: gs.Tensor, first: int, last: int) -> gs.Tensor:
        """h R^T of the gates from `first` to before `last`."""
        rows = e.slice(self.weights, -2, first * self.hidden, last * self.hidden)
        return e.matmul(h, e.transpose(rows, (1, 0)))

    def gate(self, e: Emitter, x: gs.Tensor, i: int) -> gs.Tensor:
        """The i-th part of a tensor of several gates."""
        return e.slice(x, -1, i * self.hidden, (i + 1) * self.hidden)

    def active(self, e: Emitter, i: int, x: gs.Tensor) -> gs.Tensor:
        clip = self.node.attrs.get("clip", 0.0)
        if clip:
            bounds = (e.constant(bound, x.dtype) for bound in (-clip, clip))
            x = e.op("Clip", x, *bounds, shape=list(x.shape))
        return self.activations[i](e, x)


def _lstm(e: Emitter, d: _Direction, x: gs.Tensor, states: list[gs.Tensor]) -> list[gs.Tensor]:
    """Gates in the order i, o, f, c; the cell's peepholes look at i, o, f."""
    h, c = states
    gates = e.add(x, d.product(e, h, 0, 4))
    i, o, f, g = (d.gate(e, gates, k) for k in range(4))
    if d.peephole is not None:
        i = e.add(i, e.mul(d.gate(e, d.peephole, 0), c))
        f = e.add(f, e.mul(d.gate(e, d.peephole, 2), c))
    i = d.active(e, 0, i)
    f = e.sub(1, i) if d.node.attrs.get("input_forget", 0) else d.active(e, 0, f)
    c = e.add(e.mul(f, c), e.mul(i, d.active(e, 1, g)))
    if d.peephole is not None:
        o = e.add(o, e.mul(d.gate(e, d.peephole, 1), c))
    return [e.mul(d.active(e, 0, o), d.activations[2](e, c)), c]


def _gru(e: Emitter, d: _Direction, x: gs.Tensor, states: list[gs.Tensor]) -> list[gs.Tensor]:
    """Gates in the order z, r, h; the reset acts in front of or behind the last product."""
    (h,) = states
    both = e.add(e.slice(x, -1, 0, 2 * d.hidden), d.product(e, h, 0, 2))
    z, r = (d.active(e, 0, d.gate(e, both, k)) for k in range(2))
    if d.node.attrs.get("linear_before_reset", 0):
        inner = _plus(e, d.product(e, h, 2, 3), d.bias)
        inner = e.mul(r, inner)
    else:
        inner = _plus(e, d.product(e, e.mul(r, h), 2, 3), d.bias)
    new = d.active(e, 1, e.add(d.gate(e, x, 2), inner))
    return [e.add(e.mul(e.sub(1, z), new), e.mul(z, h))]


def _rnn(e: Emitter, d: _Direction, x: gs.Tensor, states: list[gs.Tensor]) -> list[gs.Tensor]:
    return [d.active(e, 0, e.add(x, d.product(e, states[0], 0, 1)))]


def _plus(e: Emitter, x: gs.Tensor, bias: gs.Tensor | None) -> gs.Tensor:
    return x if bias is None else e.add(x, bias)


@dataclass(frozen=True)
class _Cell:
    gates: int
    states: int
    activations: tuple[str, ...]
    step: Step
    late_bias: int
    """How many gates, the last ones, add their recurrent bias inside the step."""


_CELLS = {
    "LSTM": _Cell(4, 2, ("Sigmoid", "Tanh", "Tanh"), _lstm, 0),
    "GRU": _Cell(3, 1, ("Sigmoid", "Tanh"), _gru, 1),
    "RNN": _Cell(1, 1, ("Tanh",), _rnn, 0),
}


@lowering("LSTM", "GRU", "RNN")
def recurrent(e: Emitter, node: gs.Node) -> list[gs.Tensor | None]:
    cell = _CELLS[node.op]
    batch_first = bool(node.attrs.get("layout", 0))
    inputs = [*node.inputs, *[gs.Variable.empty()] * 8][:8]
    x, w, r = inputs[:3]
    b, lengths, *initial, p = (t if t.name else None for t in inputs[3:])
    if batch_first:
        x = e.transpose(x, (1, 0, 2))
        initial = [None if t is None else e.transpose(t, (1, 0, 2)) for t in initial]
    hidden = int(r.shape[-1])
    mask = None if lengths is None else _running(e, x, lengths)
    count = 2 if node.attrs.get("direction", "forward") == "bidirectional" else 1
    chosen = _activations(node, cell, count)
    ys, finals = [], []
    for k in range(count):
        weights, recurrent, bias, peephole = (_of_direction(e, t, k) for t in (w, r, b, p))
        early, late = _biases(e, bias, hidden, cell)
        direction = _Direction(node, hidden, recurrent, late, peephole, chosen[k])
        projected = _plus(e, e.matmul(x, e.transpose(weights, (1, 0))), early)
        states = [
            _of_direction(e, t, k) if t is not None else _zeros(e, x, hidden)
            for t in initial[: cell.states]
        ]
        backward = k == 1 or node.attrs.get("direction", "forward") == "reverse"
        *last, y = _scan(e, cell, direction, projected, states, mask, backward)
        ys.append(e.unsqueeze(y, [1]))
        finals.append(last)
    y = e.concat(ys, -3)
    stacked = [
        e.concat([e.unsqueeze(t, [0]) for t in t_k], -3) for t_k in zip(*finals, strict=True)
    ]
    if batch_first:
        y = e.transpose(y, (2, 0, 1, 3))
        stacked = [e.transpose(t, (1, 0, 2)) for t in stacked]
    return [y, *stacked]


def _of_direction(e: Emitter, t: gs.Tensor | None, k: int) -> gs.Tensor | None:
    """The k-th part along the first axis."""
    return None if t is None else e.squeeze(e.slice(t, -len(t.shape), k, k + 1), [0])


def _biases(
    e: Emitter, bias: gs.Tensor | None, hidden: int, cell: _Cell
) -> tuple[gs.Tensor | None, gs.Tensor | None]:
    """(added to the projected inputs, added inside the step), of W's and R's biases."""
    if bias is None:
        return None, None
    width = cell.gates * hidden
    of_w, of_r = e.slice(bias, -1, 0, width), e.slice(bias, -1, width, 2 * width)
    if not cell.late_bias:
        return e.add(of_w, of_r), None
    cut = width - cell.late_bias * hidden
    early = e.pad(e.slice(of_r, -1, 0, cut), {-1: (0, width - cut)})
    return e.add(of_w, early), e.slice(of_r, -1, cut, width)


def _zeros(e: Emitter, x: gs.Tensor, hidden: int) -> gs.Tensor:
    """A state (B, H) of zeros."""
    batch = x.shape[1]
    zero = e.constant(np.zeros((1, 1)), x.dtype)
    target = e.concat([e.dim(x, -2), e.ints(hidden)], -1)
    return e.op("Expand", zero, target, shape=[batch, hidden])


def _running(e: Emitter, x: gs.Tensor, lengths: gs.Tensor) -> gs.Tensor:
    """(T, B, 1): whether a step belongs to its sequence."""
    steps: Dim = x.shape[0]
    scalars = (e.constant(0, np.int64), e.reshape(e.dim(x, -3), []), e.constant(1, np.int64))
    numbers = e.op("Range", *scalars, shape=[steps])
    ends = e.cast(lengths, np.int64)
    return e.less(e.unsqueeze(numbers, [1, 2]), e.unsqueeze(ends, [0, 2]))


def _scan(
    e: Emitter,
    cell: _Cell,
    direction: _Direction,
    projected: gs.Tensor,
    states: Sequence[gs.Tensor],
    mask: gs.Tensor | None,
    backward: bool,
) -> list[gs.Variable]:
    """The states behind the last step, and the first of them behind every step, (T, B, H)."""
    inner = Emitter(e.network, e)
    read = [projected] if mask is None else [projected, mask]
    before = [gs.Variable(e.name("step"), t.dtype, list(t.shape)) for t in states]
    now = [gs.Variable(e.name("step"), t.dtype, list(t.shape[1:])) for t in read]
    after = cell.step(inner, direction, now[0], list(before))
    y = after[0]
    if mask is not None:
        y = inner.where(now[1], y, 0)
        pairs = zip(after, before, strict=True)
        after = [inner.where(now[1], new, old) for new, old in pairs]
    body = close(inner, [*before, *now], [*after, y])
    shape = [projected.shape[0], *states[0].shape]
    ways = [int(backward)] * len(read)
    return e.several(
        "Scan",
        [*states, *read],
        [*(t.shape for t in states), shape],
        [*(t.dtype for t in states), y.dtype],
        body=body,
        num_scan_inputs=len(read),
        scan_input_directions=ways,
        scan_output_directions=[int(backward)],
    )


def _activations(node: gs.Node, cell: _Cell, directions: int) -> list[list[Activation]]:
    names = [
        name.decode() if isinstance(name, bytes) else name
        for name in node.attrs.get("activations", cell.activations * directions)
    ]
    alphas = iter(node.attrs.get("activation_alpha", ()))
    betas = iter(node.attrs.get("activation_beta", ()))
    chosen = [_activation(node, name, alphas, betas) for name in names]
    size = len(cell.activations)
    return [chosen[k * size : (k + 1) * size] for k in range(directions)]


def _activation(
    node: gs.Node, name: str, alphas: Iterator[float], betas: Iterator[float]
) -> Activation:
    """An activation by its name, whatever the case of its letters."""
    known = {each.lower(): each for each in (*_PLAIN, *_DEFAULTS)}
    op = known.get(name.lower())
    if op is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} has an unknown activation '{name}'; there are "
            f"{', '.join(sorted(known.values()))}"
        )
    if op in _PLAIN:
        return lambda e, x: e.unary(op, x)
    alpha, beta = _DEFAULTS[op]
    alpha = next(alphas, alpha)
    if op in _ONLY_ALPHA:
        return lambda e, x: e.unary(op, x, alpha=alpha)
    beta = next(betas, beta)
    if op == "HardSigmoid":
        return lambda e, x: e.unary(op, x, alpha=alpha, beta=beta)
    if op == "Affine":
        return lambda e, x: e.add(e.mul(x, alpha), beta)
    return lambda e, x: e.mul(e.unary("Tanh", e.mul(x, beta)), alpha)
