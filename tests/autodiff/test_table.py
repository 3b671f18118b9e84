"""The table of operators says what the registry holds."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest

from onnxcam.autodiff.registry import OWN, operators, refused_operators, zero_operators
from onnxcam.autodiff.table import operator_table

TABLE = {(row.domain, row.op): row for row in operator_table()}
HOW = {"rule", "lowering", "control flow"}


def test_every_operator_of_files_has_one_row() -> None:
    keys = [*operators(), *zero_operators(), *refused_operators()]
    assert Counter(TABLE.keys()) == Counter(key for key in keys if key[0] != OWN)
    assert len(TABLE) == len(operator_table())


def test_operators_that_no_file_holds_have_none() -> None:
    assert {domain for domain, _ in operators()} == {domain for domain, _ in TABLE} | {OWN}


def test_rows_are_sorted_by_domain_and_name() -> None:
    assert list(TABLE) == sorted(TABLE)


@pytest.mark.parametrize("how", ["zero", "refused"])
def test_rows_without_a_derivative_say_why(how: str) -> None:
    reasons = zero_operators() if how == "zero" else refused_operators()
    rows = [row for row in TABLE.values() if row.how == how]
    assert {(row.domain, row.op): row.note for row in rows} == reasons
    assert all(row.note and not row.wrt for row in rows)


def test_the_rest_says_how_and_with_respect_to_what() -> None:
    rows = [TABLE[key] for key in operators() if key in TABLE]
    assert {row.how for row in rows} == HOW
    for row in rows:
        reads_around_it = row.op == "If"  # all but the condition comes from outside its branches
        assert bool(row.wrt) != reads_around_it, row


@pytest.mark.parametrize(
    ("name", "how", "wrt"),
    [
        ("Conv", "rule", ("X", "W", "B")),
        ("Mul", "rule", ("A", "B")),
        ("Gather", "rule", ("data",)),
        ("Where", "rule", ("X", "Y")),
        ("Clip", "rule", ("input", "min", "max")),
        ("GRU", "lowering", ("X", "W", "R", "B", "initial_h")),
        ("BatchNormalization", "lowering", ("X", "scale", "B", "input_mean", "input_var")),
        ("QLinearConv", "lowering", ("x",)),
        ("Loop", "control flow", ("v_initial",)),
        ("com.microsoft.BiasGelu", "lowering", ("0", "1")),
        ("ArgMax", "zero", ()),
        ("SequenceMap", "refused", ()),
    ],
)
def test_some_rows(name: str, how: str, wrt: tuple[str, ...]) -> None:
    (row,) = (row for row in TABLE.values() if row.name == name)
    assert (row.how, row.wrt) == (how, wrt)
    assert row.as_dict() == {
        "domain": row.domain, "op": row.op, "how": how, "wrt": wrt, "note": row.note,
    }  # fmt: skip


def test_inputs_are_those_of_the_specification_that_may_be_real() -> None:
    """Integers are among them only where they stand for real numbers."""
    for (domain, op), row in TABLE.items():
        if domain or row.how not in HOW or not onnx.defs.has(op):
            continue
        types = {value.name: value.types for value in onnx.defs.get_schema(op).inputs}
        assert set(row.wrt) <= set(types), op
        whole = [n for n in row.wrt if not any("float" in kind for kind in types[n])]
        assert not whole or "straight-through" in row.note, (op, whole)


def test_what_rounds_says_so() -> None:
    rounding = {key for key, row in TABLE.items() if "straight-through" in row.note}
    assert {("", "QuantizeLinear"), ("", "QLinearConv"), ("com.microsoft", "QGemm")} <= rounding
    assert ("", "Conv") not in rounding
