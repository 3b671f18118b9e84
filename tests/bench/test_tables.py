"""The benchmark's tables name rows that exist and can be told apart."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from bench import contestants
from bench.environments import CONTESTANTS, HERE, REQUIREMENTS
from bench.results import key
from bench.tables import TABLES

MODULES = Path(contestants.__file__).parent
ROWS = [(table, row) for table in TABLES for row in table.rows]


def test_every_row_has_a_key_of_its_own():
    keys = [key(table, row) for table, row in ROWS]
    assert len(keys) == len(set(keys))


def test_everyone_named_is_known():
    assert {name for _, row in ROWS for name in row.names} == set(CONTESTANTS)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_everyone_known_has_a_module_that_enters(name):
    tree = ast.parse((MODULES / f"{name.replace('.', '/')}.py").read_text())
    assert any(isinstance(node, ast.FunctionDef) and node.name == "enter" for node in tree.body)


def test_every_environment_can_be_made():
    assert {one.environment for one in CONTESTANTS.values()} == {HERE, *REQUIREMENTS}


def test_every_package_that_is_told_of_is_installed_in_its_environment():
    for one in CONTESTANTS.values():
        if one.environment != HERE:
            names = [requirement.split("=")[0] for requirement in REQUIREMENTS[one.environment]]
            assert one.package in names
