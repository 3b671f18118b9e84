"""The table of derivatives: which operators have one, which are zero, which are refused and why.

An operator's *vjp* is a function `rule(e, node, i, *dys) -> dx`: it emits (through the `Emitter`
e) the cotangent of the node's input i from the cotangents of its outputs. An output that nothing
depends on has the cotangent None; with one output, dys is a single tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from threading import RLock
from typing import Protocol, TypeAlias, runtime_checkable

import onnx_graphsurgeon as gs

from onnxcam.autodiff import rules
from onnxcam.autodiff.cotangent import Cotangent, all_dense, unbroadcast
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.protos import STANDARD

Vjp = Callable[..., gs.Tensor]
Key = tuple[str, str]

OWN = "onnxcam"
"""Domain of operators that are only ever differentiated, never put into a file."""


class Derivative(Protocol):
    """How cotangents pass an operator.

    `kind` is what documents call it. `outputs` are the outputs through which a derivative flows
    (None: all), `ignored` the inputs with respect to which it is zero. `quantizing` says that
    integer outputs stand for real numbers, so that it flows through them too.
    """

    @property
    def kind(self) -> str: ...

    @property
    def outputs(self) -> tuple[int, ...] | None: ...

    @property
    def ignored(self) -> tuple[int, ...]: ...

    @property
    def quantizing(self) -> bool: ...

    def covers(self, i: int) -> bool:
        """Whether there is a derivative with respect to input i."""

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        """Emit the cotangents of the inputs `wanted` from those of the outputs."""


Table: TypeAlias = Callable[[gs.Node], Derivative | None]
"""Looks up how cotangents pass a node."""


@runtime_checkable
class Nested(Derivative, Protocol):
    """A derivative that is itself a walk, over the nodes that an operator is made of."""

    def within(self, table: Table) -> Derivative:
        """The same with the derivatives of another table inside."""


@dataclass(frozen=True)
class Rule:
    """One operator's vjp. `wrt` are the inputs it covers, None meaning all of them."""

    vjp: Vjp
    wrt: tuple[int, ...] | None
    takes_one_hot: bool
    outputs: tuple[int, ...] | None = None
    ignored: tuple[int, ...] = ()
    quantizing: bool = field(default=False, init=False)
    kind: str = field(default="rule", init=False)

    def covers(self, i: int) -> bool:
        return self.wrt is None or i in self.wrt

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        if not self.takes_one_hot:
            dys = all_dense(e, dys)
        return [self.vjp(e, node, i, *dys) for i in wanted]


_DERIVATIVES: dict[Key, Derivative] = {}
_ZERO: dict[Key, str] = {}
_REFUSED: dict[Key, str] = {}
_SEARCHING = RLock()
"""Held while rules are imported: no thread may use one whose file is read only in part."""


def _key(domain: str | None, op: str) -> Key:
    return ("" if domain is None or domain in STANDARD else domain, op)


def register(derivative: Derivative, ops: Iterable[str], domain: str = "") -> None:
    """Give some operators a derivative."""
    for op in ops:
        _DERIVATIVES[_key(domain, op)] = derivative


def vjp(
    *ops: str,
    wrt: Iterable[int] | None = (0,),
    outputs: Iterable[int] | None = None,
    ignored: Iterable[int] = (),
    domain: str = "",
    takes_one_hot: bool = False,
) -> Callable[[Vjp], Vjp]:
    """Register the vjp of some operators with respect to the inputs `wrt` (None: all).

    `outputs` are those through which it flows (None: all); with respect to the inputs `ignored`
    it is zero.
    """

    def decorated(rule: Vjp) -> Vjp:
        inputs = None if wrt is None else tuple(wrt)
        through = None if outputs is None else tuple(outputs)
        register(Rule(rule, inputs, takes_one_hot, through, tuple(ignored)), ops, domain)
        return rule

    return decorated


def elementwise(
    *ops: str, wrt: Iterable[int] | None = (0,), domain: str = ""
) -> Callable[[Vjp], Vjp]:
    """Register the vjp of operators whose inputs broadcast to the output.

    The rule works at the output's shape; summing down to the operand's is done here.
    """

    def decorated(rule: Vjp) -> Vjp:
        def summed(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
            return unbroadcast(e, rule(e, node, i, dy), node.inputs[i], node.outputs[0])

        vjp(*ops, wrt=wrt, domain=domain)(summed)
        return rule

    return decorated


def zero(reason: str, *ops: str, domain: str = "") -> None:
    """Declare that the derivative of some operators is zero wherever it exists, and why."""
    _ZERO.update({_key(domain, op): reason for op in ops})


def refuse(reason: str, *ops: str, domain: str = "") -> None:
    """Declare that some operators have no derivative here, and why."""
    _REFUSED.update({_key(domain, op): reason for op in ops})


def _known(node: gs.Node) -> Key:
    """The node's key, once the files of rules are imported as far as the one that has it."""
    key = _key(node.domain, node.op)
    with _SEARCHING:
        for name in rules.FILES:
            if key in _DERIVATIVES or key in _ZERO or key in _REFUSED:
                break
            _import(name)
    return key


def _import(name: str) -> None:
    import_module(f"{rules.__name__}.{name}")


def _import_all() -> None:
    for name in rules.FILES:
        _import(name)


def derivative_of(node: gs.Node) -> Derivative | None:
    """How cotangents pass a node, if they can."""
    return _DERIVATIVES.get(_known(node))


def replaced(instead: Mapping[Key, Derivative]) -> Table:
    """The table with other derivatives of some (domain, operator), inside nested ones as well.

    Not inside of what quantises: the clipping there is rounding's, no activation.
    """

    def table(node: gs.Node) -> Derivative | None:
        found = instead.get(_key(node.domain, node.op)) or derivative_of(node)
        if isinstance(found, Nested) and not found.quantizing:
            return found.within(table)
        return found

    return table


def is_zero(node: gs.Node) -> bool:
    """Whether nothing flows back through a node."""
    return _known(node) in _ZERO


def refusal_of(node: gs.Node) -> str | None:
    """Why a node's operator has no derivative here, where that was decided."""
    return _REFUSED.get(_known(node))


def operators() -> dict[Key, Derivative]:
    """Everything that has a derivative, by (domain, operator), sorted."""
    _import_all()
    return dict(sorted(_DERIVATIVES.items()))


def zero_operators() -> dict[Key, str]:
    """(domain, operator) of everything whose derivative is zero, with the reason, sorted."""
    _import_all()
    return dict(sorted(_ZERO.items()))


def refused_operators() -> dict[Key, str]:
    """(domain, operator) of everything that is refused, with the reason, sorted."""
    _import_all()
    return dict(sorted(_REFUSED.items()))
