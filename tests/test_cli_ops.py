"""`onnxcam ops`: the operators, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

from click.testing import Result

from onnxcam.autodiff.table import operator_table

Cli = Callable[..., Result]


def test_json_holds_every_operator(cli: Cli) -> None:
    result = cli("ops", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [(row["domain"], row["op"]) for row in rows] == [
        (row.domain, row.op) for row in operator_table()
    ]
    (conv,) = (row for row in rows if row["op"] == "Conv" and not row["domain"])
    assert conv == {
        "domain": "", "op": "Conv", "how": "rule", "wrt": ["X", "W", "B"], "note": "",
    }  # fmt: skip


def test_missing_are_those_without_a_derivative(cli: Cli) -> None:
    rows = json.loads(cli("ops", "--missing", "--json").stdout)
    wanted = [row.as_dict() for row in operator_table() if row.how in ("zero", "refused")]
    assert {row["how"] for row in rows} == {"zero", "refused"}
    assert rows == json.loads(json.dumps(wanted))
    assert all(row["note"] for row in rows)


def test_the_table_has_a_line_for_each(cli: Cli) -> None:
    result = cli("ops")
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["operator", "how", "with", "respect", "to", "note"]
    names = [line.split()[0] for line in lines]
    assert names == [row.name for row in operator_table()]
    (conv,) = (line for line in lines if line.split()[0] == "Conv")
    assert conv.split() == ["Conv", "rule", "X,", "W,", "B"]


def test_the_table_of_the_missing_says_why(cli: Cli) -> None:
    lines = cli("ops", "--missing").stdout.splitlines()
    (line,) = (line for line in lines if line.split()[0] == "NonMaxSuppression")
    assert " ".join(line.split()[1:]) == "zero its output is an index"
    assert not any(line.split()[0] == "Conv" for line in lines)
