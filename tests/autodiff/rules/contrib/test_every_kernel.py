"""No contributed operator has a rule that no kernel tries."""

from __future__ import annotations

import importlib

import pytest

from onnxcam.autodiff.lowering import Lowering
from onnxcam.autodiff.registry import Derivative, Rule, operators, refused_operators

RULES = "onnxcam.autodiff.rules.contrib"
INTERNAL = ("onnxcam", "FusedActivation")
"""Tried as the end of FusedConv and FusedGemm."""


def module_of(derivative: Derivative) -> str:
    if isinstance(derivative, Lowering):
        return derivative.lower.__module__
    return derivative.vjp.__module__ if isinstance(derivative, Rule) else ""


CONTRIBUTED = [
    key
    for key, derivative in operators().items()
    if module_of(derivative).startswith(RULES) and key != INTERNAL
]


def tried() -> set[tuple[str, str, int]]:
    names = ("test_contrib", "test_other_devices")
    modules = [importlib.import_module(f"autodiff.rules.contrib.{name}") for name in names]
    kernels = [each for module in modules for each in module.KERNELS]
    return {(each.domain, each.op, i) for each in kernels for i in each.wrt}


@pytest.mark.parametrize(("domain", "op"), CONTRIBUTED)
def test_every_input_it_covers_is_tried(domain: str, op: str) -> None:
    covered = operators()[domain, op].wrt
    assert {(domain, op, i) for i in covered} <= tried()


def test_they_are_many_and_none_is_refused_too() -> None:
    assert len(CONTRIBUTED) > 30
    assert not set(CONTRIBUTED) & set(refused_operators())
