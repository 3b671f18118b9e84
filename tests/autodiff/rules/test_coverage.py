"""Nothing has a rule that no case tries."""

import importlib
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import NEWEST
from onnx import helper

from onnxcam.autodiff.engine import path_between
from onnxcam.autodiff.registry import derivative_of, is_zero, operators, zero_operators
from onnxcam.graph.network import Network


def tried() -> set[tuple[str, str, int]]:
    """(domain, operator, input) of all cases in the files beside this one."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        module = importlib.import_module(f"autodiff.rules.{path.stem}")
        found |= {("", case.op, case.wrt) for case in getattr(module, "CASES", ())}
    return found


def rule(domain: str, op: str):
    return derivative_of(gs.Node(op=op, domain=domain or None))


@pytest.mark.parametrize(("domain", "op"), operators(), ids=lambda value: value or "onnx")
def test_every_rule_is_tried_for_every_input_it_covers(domain: str, op: str) -> None:
    inputs = rule(domain, op).wrt
    wanted = {(domain, op, i) for i in ((0,) if inputs is None else inputs)}
    assert wanted <= tried()


@pytest.mark.parametrize(("domain", "op"), operators(), ids=lambda value: value or "onnx")
def test_every_operator_with_a_rule_exists(domain: str, op: str) -> None:
    schema = onnx.defs.get_schema(op, domain=domain)
    last = schema.inputs[-1]
    variadic = last.option == onnx.defs.OpSchema.FormalParameterOption.Variadic
    covered = rule(domain, op).wrt
    assert variadic if covered is None else max(covered) < len(schema.inputs)


@pytest.mark.parametrize(("domain", "op"), zero_operators(), ids=lambda value: value or "onnx")
def test_every_operator_of_zero_derivative_exists_and_has_no_rule(domain: str, op: str) -> None:
    assert onnx.defs.has(op, domain)
    assert (domain, op) not in operators()


@pytest.mark.parametrize("op", ["Floor", "Ceil", "Round", "Sign"])
def test_a_zero_derivative_cuts_the_path(op: str) -> None:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [3])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3])
    nodes = [helper.make_node(op, ["x"], ["cut"]), helper.make_node("Add", ["x", "cut"], ["y"])]
    opset = helper.make_opsetid("", NEWEST)
    graph = helper.make_graph(nodes, "cut", [x], [y])
    network = Network(helper.make_model(graph, opset_imports=[opset], ir_version=10))
    assert is_zero(network.graph.nodes[0])
    assert [node.op for node in path_between(network, ["x"], ["y"])] == ["Add"]
