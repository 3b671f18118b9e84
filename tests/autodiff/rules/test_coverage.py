"""Nothing has a derivative that no test tries.

Rules of standard operators have to be among the cases, for every input that they cover; what
ONNX Runtime contributes is looked after in contrib/test_every_kernel.py. Operators that are tried
inside whole programs (quantised ones, control flow, recurrent ones) have to occur in one.
"""

import importlib
import re
from functools import cache
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import NEWEST
from onnx import helper
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

from onnxcam.autodiff.registry import is_zero, operators, refused_operators, zero_operators
from onnxcam.autodiff.table import operator_table
from onnxcam.autodiff.walk import find_path
from onnxcam.graph.network import Network

HERE = Path(__file__).parent
IN_PROGRAMS = (
    "control_flow",
    "loops",
    "recurrent",
    "quantization",
    "quantized_operators",
    "quantized_pointwise",
    "quantized_recurrent",
    "weight_only",
)
"""Test files that hold programs, not cases."""

STANDARD = [op for domain, op in operators() if not domain and onnx.defs.has(op)]


@cache
def cases() -> frozenset[tuple[str, int]]:
    """(operator, input) of all cases in the files beside this one."""
    found = set()
    for path in HERE.glob("test_*.py"):
        module = importlib.import_module(f"autodiff.rules.{path.stem}")
        found |= {(case.op, case.wrt) for case in getattr(module, "CASES", ())}
    return frozenset(found)


@cache
def in_programs() -> frozenset[str]:
    """Every word of the files that hold programs."""
    files = [HERE / f"test_{name}.py" for name in IN_PROGRAMS]
    return frozenset(word for path in files for word in re.findall(r"\w+", path.read_text()))


@pytest.mark.parametrize("op", STANDARD)
def test_every_derivative_is_tried_for_every_input_it_covers(op: str) -> None:
    if op in in_programs():
        return
    wrt = getattr(operators()["", op], "wrt", None)
    assert {(op, i) for i in ((0,) if wrt is None else wrt)} <= cases()


@pytest.mark.parametrize(
    "op",
    [
        row.op
        for row in operator_table()
        if row.domain == "com.microsoft" and "straight-through" in row.note
    ],
)
def test_every_quantised_operator_is_in_a_program(op: str) -> None:
    assert op in in_programs()


@pytest.mark.parametrize("op", STANDARD)
def test_no_derivative_covers_an_input_that_is_not_there(op: str) -> None:
    schema = onnx.defs.get_schema(op)
    derivative = operators()["", op]
    wrt = getattr(derivative, "wrt", None) or ()
    assert max((*wrt, *derivative.ignored), default=0) < len(schema.inputs)


def test_every_operator_exists() -> None:
    known = {(s.domain, s.name) for s in get_all_operator_schema()}
    known |= {("", s.name) for s in onnx.defs.get_all_schemas()}
    named = {*operators(), *zero_operators(), *refused_operators()}
    assert {key for key in named - known if key[0] != "onnxcam"} == set()


def test_every_standard_operator_is_known() -> None:
    """Each has a derivative, or one that is zero, or is refused, and only one of these."""
    standard = {s.name for s in onnx.defs.get_all_schemas() if not s.domain}
    ways = [operators(), zero_operators(), refused_operators()]
    known = [op for table in ways for domain, op in table if not domain]
    assert standard - set(known) == set()
    assert len(known) == len(set(known))


@pytest.mark.parametrize("op", ["Floor", "Ceil", "Round", "Sign"])
def test_a_zero_derivative_cuts_the_path(op: str) -> None:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [3])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3])
    nodes = [helper.make_node(op, ["x"], ["cut"]), helper.make_node("Add", ["x", "cut"], ["y"])]
    opset = helper.make_opsetid("", NEWEST)
    graph = helper.make_graph(nodes, "cut", [x], [y])
    network = Network(helper.make_model(graph, opset_imports=[opset], ir_version=10))
    assert is_zero(network.graph.nodes[0])
    assert isinstance(network.graph.nodes[0], gs.Node)
    assert [node.op for node in find_path(network.graph.nodes, ["x"], ["y"]).nodes] == ["Add"]
