"""The table of cases."""

from __future__ import annotations

from pathlib import Path

from conformance.cases import CONVERTED, FORMS, METHODS, UNTOUCHED, cases


def test_no_name_stands_for_two_cases() -> None:
    made = cases(("cpu", "portable"), (Path("extra.onnx"),))
    assert len({case.name for case in made}) == len(made)


def test_every_profile_runs_the_same() -> None:
    made = cases(("cpu", "portable"), ())
    kinds = [
        [(c.source, c.variant, c.method, c.layer, c.form) for c in made if c.profile == profile]
        for profile in ("cpu", "portable")
    ]
    assert kinds[0] == kinds[1]


def test_methods_forms_and_models_are_all_there() -> None:
    made = cases(("cpu",), (Path("extra.onnx"),))
    rewritten = [case for case in made if case.form != UNTOUCHED]
    assert {case.method for case in rewritten} == set(METHODS)
    assert {case.form for case in rewritten} == set(FORMS)
    assert {case.variant for case in made if case not in rewritten} == set(CONVERTED)
    assert all(case.source.is_file() for case in made if case.model != "extra")
    assert not next(case for case in made if case.model == "extra").small
