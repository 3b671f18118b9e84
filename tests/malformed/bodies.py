"""Control flow whose bodies do not hang together, and functions that call what they should not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from builders import conv_trunk, head
from graphs import Build
from malformed.making import Make, answered, changed, node_of, refused
from onnx import helper, numpy_helper

SHAPE = (1, 8, 8, 8)


def body(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], inputs: Sequence[str] = ()
) -> onnx.GraphProto:
    """A graph whose last input and first output are conditions where it has inputs (of a Loop)."""
    declared = [
        helper.make_tensor_value_info(name, *((9, []) if name == "go" else (7, [])))
        if name in ("go", "step")
        else helper.make_tensor_value_info(name, 1, SHAPE)
        for name in (*inputs, *outputs)
    ]
    return helper.make_graph(list(nodes), "body", declared[: len(inputs)], declared[len(inputs) :])


def branching(*then: onnx.NodeProto, out: str = "then") -> Make:
    """A classifier with an `If` behind its features; `then` are the nodes of one branch."""

    def make() -> onnx.ModelProto:
        b = Build()
        conv_trunk(b)
        b.weight("yes", np.array(True))
        other = body([helper.make_node("Neg", ["features"], ["else"])], ["else"])
        b.op("If", ["yes"], "chosen", then_branch=body(then, [out]), else_branch=other)
        head(b, "chosen")
        return b.model()

    return make


def looping(trips: int | None, condition: bool | None, *more: onnx.NodeProto) -> Make:
    """A classifier with a `Loop` of ReLUs behind its features."""

    def make() -> onnx.ModelProto:
        b = Build()
        conv_trunk(b)
        given = ["", "", "features"]
        if trips is not None:
            given[0] = b.weight("trips", np.array(trips))
        if condition is not None:
            given[1] = b.weight("condition", np.array(condition))
        nodes = [
            helper.make_node("Relu", ["x"], ["y"], name="inside"),
            helper.make_node("Identity", ["go"], ["going"]),
            *more,
        ]
        inside = body(nodes, ["y"], ["step", "go", "x"])
        inside.output.insert(0, helper.make_tensor_value_info("going", 9, []))
        b.op("Loop", given, "looped", body=inside)
        head(b, "looped")
        return b.model()

    return make


def relu(x: str, y: str, name: str = "inside") -> onnx.NodeProto:
    return helper.make_node("Relu", [x], [y], name=name)


refused(r"node 'inside' \(Relu\) reads 'nowhere', which nothing makes",
    body_reads_nothing=branching(relu("nowhere", "then")),
    loop_reads_nothing=looping(2, True, relu("nowhere", "z")),
)  # fmt: skip
refused(
    r"node 'If:chosen' \(If\) waits for its own output \(a cycle\)",
    cycle_through_a_body=branching(relu("chosen", "then")),
    cycle_behind_the_body=branching(relu("pooled", "then")),
)
refused(
    "the model is not valid ONNX: .*inside",
    cycle_in_a_body=branching(relu("b", "a"), relu("a", "b"), out="a"),
)
refused(
    r"node 'inside' \(Relu\) makes 'then', which is there already",
    body_makes_twice=branching(relu("features", "then"), relu("features", "then")),
)
refused("Graph output 'features' is not an output", branch_of_no_nodes=branching(out="features"))
refused("'other' is put out, though nothing makes it", body_puts_out_nothing=branching(out="other"))
refused("No Op registered for Rellu", unknown_operator_in_a_body=branching(
    helper.make_node("Rellu", ["features"], ["then"])))  # fmt: skip
answered(
    branch=branching(relu("features", "then")),
    loop=looping(3, True),
    loop_without_a_trip_count=looping(None, False),
    loop_without_a_condition=looping(3, None),
    loop_of_no_trips=looping(0, True),
    loop_of_minus_one_trips=looping(-1, True),
)


def calling(*bodies: tuple[str, str]) -> Make:
    """A classifier whose first Relu is a call of a model-local function; (name, what it calls)."""

    def change(model: onnx.ModelProto) -> None:
        relu = node_of(model, "Relu")
        relu.op_type, relu.domain = bodies[0][0], "local"
        model.opset_import.append(helper.make_opsetid("local", 1))
        opsets = list(model.opset_import)
        for name, called in bodies:
            domain = "local" if len(called) == 1 else ""
            node = helper.make_node(called, ["x"], ["y"], domain=domain)
            made = helper.make_function("local", name, ["x"], ["y"], [node], opsets)
            model.functions.append(made)

    return changed(change)


def _in_a_body(model: onnx.ModelProto) -> None:
    """A function that calls itself out of the branch of an `If`."""
    relu = node_of(model, "Relu")
    relu.op_type, relu.domain = "F", "local"
    model.opset_import.append(helper.make_opsetid("local", 1))
    made = helper.make_empty_tensor_value_info("z")
    again = helper.make_node("F", ["x"], ["z"], domain="local")
    inner = helper.make_graph([again], "body", [], [made])
    stop = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "stop", [], [made])
    yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
    node = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=stop)
    opsets = list(model.opset_import)
    model.functions.append(helper.make_function("local", "F", ["x"], ["y"], [yes, node], opsets))


def _exponential(model: onnx.ModelProto) -> None:
    """Thirty functions, each calling the one before it twice: a billion nodes when spelt out."""
    model.opset_import.append(helper.make_opsetid("local", 1))
    opsets = list(model.opset_import)
    for k in range(30):
        called, domain = (f"F{k - 1}", "local") if k else ("Relu", "")
        nodes = [
            helper.make_node(called, ["x"], ["m"], domain=domain),
            helper.make_node(called, ["m"], ["y"], domain=domain),
        ]
        model.functions.append(helper.make_function("local", f"F{k}", ["x"], ["y"], nodes, opsets))
    relu = node_of(model, "Relu")
    relu.op_type, relu.domain = "F29", "local"


refused(
    "the model's function 'F' calls itself; export it again",
    function_calls_itself=calling(("F", "F")),
    functions_call_each_other=calling(("F", "G"), ("G", "H"), ("H", "F")),
    function_calls_itself_in_a_body=changed(_in_a_body),
)
refused("Rellu", function_of_unknown=calling(("F", "Rellu")))
refused("No .*local.*|.*\\bG\\b", function_calls_a_missing_one=calling(("F", "G")))
refused("has two functions 'F'", function_twice=calling(("F", "Relu"), ("F", "Relu")))
refused(
    rf"the model's functions become {2**30 + 6} nodes in place of their calls",
    functions_of_exponential_size=changed(_exponential),
)
answered(
    function=calling(("F", "Relu")),
    function_named_as_an_operator=calling(("Relu", "Relu")),
    functions_in_any_order=calling(("F", "G"), ("G", "Relu")),
)
