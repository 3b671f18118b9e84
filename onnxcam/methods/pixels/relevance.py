"""Rules of layer-wise relevance propagation, as derivatives that replace the ordinary ones.

The relevance of a tensor is R = x c, its values times a modified gradient c, which starts as the
ordinary one: a score's relevance is the score. What a rule says of R becomes a formula for c
without a division by x: a linear layer y = W x + b that shares out R in proportion to its
summands has c_x = W^T c_y, an activation y = f(z) that keeps it, c_z = c_y y / z.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.registry import OWN, Derivative, Key, derivative_of
from onnxcam.autodiff.rules.steps import ramp
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import producer
from onnxcam.graph.plain import plain_op
from onnxcam.graph.protos import MICROSOFT
from onnxcam.methods.pixels.gamma import gamma_rule

KEPT = (
    "Identity", "Cast", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
    "Concat", "Split", "Slice", "Gather", "GatherElements", "Pad", "Expand", "DepthToSpace",
    "SpaceToDepth", "MaxPool", "GlobalMaxPool", "Relu", "LeakyRelu", "PRelu", "ThresholdedRelu",
    "Neg", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
"""What moves values, or multiplies each by something: their ordinary derivative keeps R."""

SHARED = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Add", "Sub", "Sum", "Mean",
    "AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "Resize",
)  # fmt: skip
"""What adds up: each summand gets its share."""

ACTIVATIONS: tuple[Key, ...] = (
    *(("", op) for op in (
        "Clip", "Elu", "Celu", "Selu", "Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Softsign",
        "HardSwish", "Swish", "Gelu", "Mish",
    )),
    (OWN, "FusedActivation"),
    (MICROSOFT, "Gelu"),
    (MICROSOFT, "QuickGelu"),
)  # fmt: skip

PRODUCTS = ("Mul", "Div")

_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")

MADE_OF_THESE: tuple[Key, ...] = tuple(
    (MICROSOFT, op) for op in ("FusedConv", "NhwcConv", "NhwcFusedConv", "NhwcMaxPool", "FusedGemm")
)

_GATES = {"Sigmoid": 2, "HardSigmoid": 2, "Clip": 1}
_PASSED = ("Mul", "Div", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Cast", "Identity")
_SMALLEST = 1e-9

Rule = Callable[
    [Emitter, gs.Node, Sequence[int], Sequence[Cotangent | None], Derivative],
    list[Cotangent | None],
]


@dataclass(frozen=True)
class Modified:
    """A derivative that differs from the ordinary one in how cotangents are pulled back."""

    plain: Derivative
    rule: Rule

    @property
    def kind(self) -> str:
        return self.plain.kind

    @property
    def outputs(self) -> tuple[int, ...] | None:
        return self.plain.outputs

    @property
    def ignored(self) -> tuple[int, ...]:
        return self.plain.ignored

    @property
    def quantizing(self) -> bool:
        return self.plain.quantizing

    def covers(self, i: int) -> bool:
        return self.plain.covers(i)

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        return self.rule(e, node, wanted, dys, self.plain)


def relevance_rules(epsilon: float, gamma: float) -> dict[Key, Derivative]:
    """The derivatives that differ from the ordinary ones; see `LRP` for the parameters."""
    rules: dict[Key, Rule] = dict.fromkeys(ACTIVATIONS, _activation)
    rules |= {("", op): _product for op in PRODUCTS}
    if epsilon:
        rules |= {("", op): _with_epsilon(epsilon) for op in SHARED}
    if gamma:
        rules["", "Conv"] = gamma_rule(gamma, epsilon)
    return {key: Modified(_ordinary(key), rule) for key, rule in rules.items()}


def obstacle(node: gs.Node, reached: set[str]) -> str | None:
    """Why relevance cannot pass a node; None where it can. `reached` are the tensors on its way."""
    key = (node.domain or "", node.op)
    on_the_way = [i for i, t in enumerate(node.inputs) if t.name in reached]
    if key not in _COVERED:
        return "has no rule"
    if node.op in _WITH_WEIGHTS and len(on_the_way) > 1:
        return "multiplies two activations, as attention does, which has no rule"
    if node.op == "Div" and on_the_way != [0]:
        return "divides by an activation, which has no rule"
    if node.op == "Mul" and len(on_the_way) > 1 and _gate(node) is None:
        return "multiplies two activations of which none is a gate, which has no rule"
    return None


_COVERED = {
    *(("", op) for op in (*KEPT, *SHARED, *PRODUCTS)),
    *ACTIVATIONS,
    *MADE_OF_THESE,
}


def _ordinary(key: Key) -> Derivative:
    found = derivative_of(gs.Node(op=key[1], domain=key[0] or None))
    assert found is not None
    return found


def _with_epsilon(epsilon: float) -> Rule:
    """R_y y / (y + epsilon sign y) is shared out: the rest is absorbed."""

    def rule(
        e: Emitter,
        node: gs.Node,
        wanted: Sequence[int],
        dys: Sequence[Cotangent | None],
        plain: Derivative,
    ) -> list[Cotangent | None]:
        assert dys[0] is not None
        dy = dense(e, dys[0])
        size = e.unary("Abs", node.outputs[0])
        kept = e.mul(dy, e.div(size, e.add(size, epsilon)))
        return plain.pull_back(e, node, wanted, [kept, *dys[1:]])

    return rule


def _activation(
    e: Emitter,
    node: gs.Node,
    wanted: Sequence[int],
    dys: Sequence[Cotangent | None],
    plain: Derivative,
) -> list[Cotangent | None]:
    """R_z = R_y: dy y / z, near zero as if z were a little larger."""
    assert dys[0] is not None
    dy = dense(e, dys[0])
    z, y = node.inputs[0], node.outputs[0]
    if node.op == "HardSwish" and z.dtype == np.float32:
        ratio = ramp(e, z, 1 / 6, 0.5)
    else:
        away = e.where(e.less(z, 0), e.sub(z, _SMALLEST), e.add(z, _SMALLEST))
        ratio = e.div(y, away)
    return [e.mul(dy, ratio) if i == 0 else None for i in wanted]


def _product(
    e: Emitter,
    node: gs.Node,
    wanted: Sequence[int],
    dys: Sequence[Cotangent | None],
    plain: Derivative,
) -> list[Cotangent | None]:
    """A gate lets relevance through and gets none (Arras et al. 2017, arXiv:1706.07206)."""
    gate = _gate(node) if len(wanted) > 1 else None
    taking = [i for i in wanted if i != gate]
    found = dict(zip(taking, plain.pull_back(e, node, taking, dys), strict=True))
    return [found.get(i) for i in wanted]


def _gate(node: gs.Node) -> int | None:
    """Which factor of a product only scales the other; None where that cannot be told."""
    ranks = [_gate_rank(t) for t in node.inputs]
    if len(ranks) != 2 or ranks[0] == ranks[1]:
        return None
    return ranks.index(max(ranks))


def _gate_rank(tensor: gs.Tensor) -> int:
    """How sure it is that a tensor lies between 0 and a bound: a sigmoid, or one put together."""
    node = producer(tensor)
    while node is not None and node.op in _PASSED:
        varying = [t for t in node.inputs if producer(t) is not None]
        if len(varying) != 1 and node.op in ("Mul", "Div"):
            return 0
        node = producer(varying[0]) if varying else None
    if node is None:
        return 0
    fused = str(node.attrs.get("activation", ""))
    return _GATES.get(fused or plain_op(node), 0)
