"""The table of derivatives: which operators have a rule, which have none, which are zero.

A rule is the operator's *vjp*, a function `rule(e, node, i, *dys) -> dx`: it emits (through the
`Emitter` e) the cotangent of the node's input i from the cotangents of its outputs. An output
that nothing depends on has the cotangent None; with one output, dys is a single tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import unbroadcast
from onnxcam.graph.emitter import Emitter

Vjp = Callable[..., gs.Tensor]


@dataclass(frozen=True)
class Rule:
    """One operator's vjp. `wrt` are the inputs it covers, None meaning all of them."""

    vjp: Vjp
    wrt: tuple[int, ...] | None
    takes_one_hot: bool

    def covers(self, i: int) -> bool:
        return self.wrt is None or i in self.wrt


_RULES: dict[tuple[str, str], Rule] = {}
_ZERO: set[tuple[str, str]] = set()


def _key(domain: str | None, op: str) -> tuple[str, str]:
    return ("" if domain in (None, "ai.onnx") else str(domain), op)


def vjp(
    *ops: str,
    wrt: Iterable[int] | None = (0,),
    domain: str = "",
    takes_one_hot: bool = False,
) -> Callable[[Vjp], Vjp]:
    """Register the vjp of some operators with respect to the inputs `wrt` (None: all)."""

    def register(rule: Vjp) -> Vjp:
        inputs = None if wrt is None else tuple(wrt)
        for op in ops:
            _RULES[_key(domain, op)] = Rule(rule, inputs, takes_one_hot)
        return rule

    return register


def elementwise(
    *ops: str, wrt: Iterable[int] | None = (0,), domain: str = ""
) -> Callable[[Vjp], Vjp]:
    """Register the vjp of operators whose inputs broadcast to the output.

    The rule works at the output's shape; summing down to the operand's is done here.
    """

    def register(rule: Vjp) -> Vjp:
        def summed(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
            return unbroadcast(e, rule(e, node, i, dy), node.inputs[i], node.outputs[0])

        vjp(*ops, wrt=wrt, domain=domain)(summed)
        return rule

    return register


def zero(*ops: str, domain: str = "") -> None:
    """Declare that the derivative of some operators is zero wherever it exists."""
    _ZERO.update(_key(domain, op) for op in ops)


def rule_of(node: gs.Node) -> Rule | None:
    """The node's rule, if there is one."""
    return _RULES.get(_key(node.domain, node.op))


def is_zero(node: gs.Node) -> bool:
    """Whether nothing flows back through a node."""
    return _key(node.domain, node.op) in _ZERO


def operators() -> list[tuple[str, str]]:
    """(domain, operator) of everything that has a rule, sorted."""
    return sorted(_RULES)


def zero_operators() -> list[tuple[str, str]]:
    """(domain, operator) of everything whose derivative is zero, sorted."""
    return sorted(_ZERO)
