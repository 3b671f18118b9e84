"""The operators that onnxcam knows, as a table for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import onnx

from onnxcam.autodiff.registry import (
    OWN,
    Derivative,
    operators,
    refused_operators,
    zero_operators,
)


@dataclass(frozen=True)
class Operator:
    """One row. `how` is "rule", "lowering", "control flow", "zero" or "refused".

    `wrt` names the inputs that a derivative flows to, `note` says why there is none, or that the
    operator rounds and is differentiated straight through.
    """

    domain: str
    op: str
    how: str
    wrt: tuple[str, ...]
    note: str

    @property
    def name(self) -> str:
        return f"{self.domain}.{self.op}" if self.domain else self.op

    def as_dict(self) -> dict[str, Any]:
        """What `onnxcam ops --json` prints."""
        return asdict(self)


def operator_table() -> list[Operator]:
    """Every operator with a derivative, with one that is zero, and with none, by domain.

    Those that are no file's, but onnxcam's own means, are left out.
    """
    rows = [
        Operator(domain, op, derivative.kind, _inputs(domain, op, derivative), _note(derivative))
        for (domain, op), derivative in operators().items()
        if domain != OWN
    ]
    rows += [Operator(*key, "zero", (), reason) for key, reason in zero_operators().items()]
    rows += [Operator(*key, "refused", (), reason) for key, reason in refused_operators().items()]
    return sorted(rows, key=lambda row: (row.domain, row.op))


def _note(derivative: Derivative) -> str:
    return "rounding counts as the identity (straight-through)" if derivative.quantizing else ""


def _inputs(domain: str, op: str, derivative: Derivative) -> tuple[str, ...]:
    """Names of the inputs covered, as the specification calls them; numbers where it is silent."""
    if not onnx.defs.has(op, domain=domain):
        covered = (i for i in range(12) if derivative.covers(i))
        return ("all",) if derivative.covers(11) else tuple(str(i) for i in covered)
    schema = onnx.defs.get_schema(op, domain=domain)
    real = (
        value.name
        for i, value in enumerate(schema.inputs)
        if derivative.covers(i) and i not in derivative.ignored and _may_be_real(value, derivative)
    )
    return tuple(real)


def _may_be_real(value: onnx.defs.OpSchema.FormalParameter, derivative: Derivative) -> bool:
    return derivative.quantizing or any("float" in name for name in value.types)
