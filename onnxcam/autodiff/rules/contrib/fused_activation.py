"""Activations at the end of a fused operator, differentiated from what comes out of them.

What went into the activation is stored nowhere, and computing it again costs the convolution a
second time. All that are fused but HardSwish are monotonous, so their slope can be told from
their output.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_graphsurgeon as gs

from onnxcam.autodiff.registry import OWN, vjp
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.emitter import Emitter, Operand

_OP = "FusedActivation"
_DEFAULTS = {
    "LeakyRelu": (0.01,),
    "ThresholdedRelu": (1.0,),
    "Elu": (1.0,),
    "Selu": (1.67326319217681884765625, 1.05070102214813232421875),
    "HardSigmoid": (0.2, 0.5),
}
_STEADY = ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Clip")


def activated(
    e: Emitter, x: gs.Tensor, name: str, parameters: Sequence[float], where: str
) -> gs.Tensor:
    """Emit what a fused operator applies to its result; `where` names the operator in errors."""
    if not name:
        return x
    if name == "HardSwish":
        return e.unary(name, x)
    given = [*parameters, *_DEFAULTS.get(name, ())[len(parameters) :]]
    falling = name in ("LeakyRelu", "Elu", "Selu", "HardSigmoid") and given[0] <= 0
    if falling or name not in (*_DEFAULTS, *_STEADY):
        raise UnsupportedOperatorError(
            f"{where} ends in the activation {name} {given or ''}, which has no derivative here; "
            f"choose a target layer behind it"
        )
    y = e.op(_OP, x, shape=list(x.shape), activation=name, parameters=given)
    y.inputs[0].domain = OWN
    return y


@vjp(_OP, domain=OWN)
def fused_activation(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    y, p = node.outputs[0], node.attrs.get("parameters", ())
    match node.attrs["activation"]:
        case "Relu" | "ThresholdedRelu":
            return e.where(e.greater(y, 0), dy, 0)
        case "LeakyRelu":
            return e.where(e.less(y, 0), e.mul(dy, p[0]), dy)
        case "Clip":
            return e.where(_between(e, y, p[0], p[1]), dy, 0)
        case "HardSigmoid":
            return e.where(_between(e, y, 0, 1), e.mul(dy, p[0]), 0)
        case "Sigmoid":
            return e.mul(dy, e.mul(y, e.sub(1, y)))
        case "Tanh":
            return e.mul(dy, e.sub(1, e.mul(y, y)))
        case "Elu":
            return e.where(e.less(y, 0), e.mul(dy, e.add(y, p[0])), dy)
        case "Selu":  # gamma alpha (exp(x) - 1) below zero, gamma x above
            alpha, gamma = p
            return e.mul(dy, e.where(e.less(y, 0), e.add(y, alpha * gamma), gamma))
        case "Softplus":  # y = log(1 + exp(x))
            return e.mul(dy, e.sub(1, e.unary("Exp", e.unary("Neg", y))))
        case _:  # Softsign, y = x / (1 + |x|)
            rest = e.sub(1, e.unary("Abs", y))
            return e.mul(dy, e.mul(rest, rest))


def _between(e: Emitter, y: gs.Tensor, low: Operand, high: Operand) -> gs.Tensor:
    return e.logical_and(e.greater(y, low), e.less(y, high))
