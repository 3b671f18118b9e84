"""Nodes that do not hang together, and operators that are none."""

from __future__ import annotations

import numpy as np
import onnx
from graphs import weights
from malformed.making import HUGE, Make, answered, changed, inserted, node_of, refused
from onnx import TensorProto, helper, numpy_helper


def rewired(op: str, where: str, k: int, name: str) -> Make:
    """A classifier in which one input or output of the first such node has another name."""

    def change(model: onnx.ModelProto) -> None:
        names = getattr(node_of(model, op), where)
        if k < len(names):
            names[k] = name
        else:
            names.append(name)

    return changed(change)


def without(field: str) -> Make:
    return changed(lambda model: model.graph.ClearField(field))


def twice(field: str) -> Make:
    """A classifier whose first node, input, output or weight is there once more."""
    return changed(lambda model: getattr(model.graph, field).append(getattr(model.graph, field)[0]))


def _unsorted(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _sparse(index: int) -> Make:
    """A classifier whose last bias is stored sparsely: one element at an index."""

    def change(model: onnx.ModelProto) -> None:
        (stored,) = [t for t in model.graph.initializer if t.name == "logits.bias"]
        model.graph.initializer.remove(stored)
        value = numpy_helper.from_array(weights(1), "logits.bias")
        place = numpy_helper.from_array(np.array([index]))
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(value, place, [5]))

    return changed(change)


refused(
    r"node 'Relu:relu1' \(Relu\) waits for its own output \(a cycle\)",
    self_loop=rewired("Relu", "input", 0, "relu1"),
)
refused(
    r"node 'Conv:conv1' \(Conv\) waits for its own output \(a cycle\)",
    cycle=rewired("Conv", "input", 0, "features"),
)
refused(
    r"node 'Relu:relu1' \(Relu\) reads 'nowhere', which nothing makes",
    dangling_input=rewired("Relu", "input", 0, "nowhere"),
)
refused(
    r"node 'Conv:conv1' \(Conv\) reads 'nowhere', which nothing makes",
    dangling_weight=rewired("Conv", "input", 1, "nowhere"),
)
refused(
    r"node 'Conv:conv2' \(Conv\) reads 'relu1', which nothing makes",
    empty_output_name=rewired("Relu", "output", 0, ""),
    a_node_without_outputs=changed(lambda model: node_of(model, "Relu").ClearField("output")),
)
refused(
    r"node 'Conv:conv1' \(Conv\) reads 'image', which nothing makes",
    no_inputs=without("input"),
    input_of_no_name=changed(lambda model: setattr(model.graph.input[0], "name", "")),
)
refused(r"reads 'conv1.weight', which nothing makes", no_weights=without("initializer"))
refused(
    "'nowhere' is put out, though nothing makes it",
    missing_output=changed(lambda model: setattr(model.graph.output[0], "name", "nowhere")),
)
refused("'pooled', which is there", same_output_twice=rewired("Flatten", "output", 0, "pooled"))
refused("'image', which is there", output_named_as_input=rewired("Relu", "output", 0, "image"))
refused(
    r"makes 'conv1.weight', which is there already",
    output_named_as_a_weight=rewired("Relu", "output", 0, "conv1.weight"),
)
refused(r"\(Conv\) makes 'conv1', which is there", same_node_twice=twice("node"))
refused("'image' has been used as graph input names", an_input_twice=twice("input"))
refused("conv1.weight initializer name is not unique", a_weight_twice=twice("initializer"))
refused(
    r"Node ?\(Relu:relu1\).* input",
    too_many_inputs=rewired("Relu", "input", 1, "image"),
    empty_input_name=rewired("Relu", "input", 0, ""),
)
refused(r"Node\(Relu:relu1\).*output size 2", too_many_outputs=rewired("Relu", "output", 1, "b"))
refused("the model has no outputs; export it with its scores", no_outputs=without("output"))
refused(
    r"model\.onnx: not an ONNX model \(it holds no graph\)",
    no_nodes=without("node"),
    no_graph=changed(lambda model: model.ClearField("graph")),
)
refused(
    "no layer between picture and score is spatial",
    output_is_the_input=changed(lambda m: m.graph.output[0].CopyFrom(m.graph.input[0])),
)
refused(
    "no input takes pictures.*: none",
    weight_named_as_the_input=changed(
        lambda model: model.graph.initializer.append(
            numpy_helper.from_array(weights(1, 3, 16, 16), "image")
        )
    ),
)
refused(
    "ONNX Runtime refuses the model: .*conv1.weight",
    weight_of_another_shape_than_its_input=changed(
        lambda model: model.graph.input.append(
            helper.make_tensor_value_info("conv1.weight", 1, [7, 7])
        )
    ),
    weight_of_another_type_than_its_input=changed(
        lambda model: model.graph.input.append(
            helper.make_tensor_value_info("conv1.weight", TensorProto.INT64, [6, 3, 3, 3])
        )
    ),
)
refused(
    "the sparse weights 'logits.bias' are not valid ONNX .*out of range",
    sparse_weight_out_of_range=_sparse(9),
)
answered(unsorted=changed(_unsorted), an_output_twice=twice("output"), sparse_weight=_sparse(2))


def imported(*opsets: tuple[str, int]) -> Make:
    def change(model: onnx.ModelProto) -> None:
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*opset) for opset in opsets)

    return changed(change)


refused("uses opset 0, and onnx .* knows 1 to", opset_0=imported(("", 0)))
refused("uses opset 999, and onnx .* install a newer", opset_999=imported(("", 999)))
refused(r"uses opset -\d+, and onnx", opset_negative=imported(("", -(2**63))))
refused(rf"uses opset {HUGE}, and onnx", opset_2_62=imported(("", HUGE)))
refused("the model uses opset 1, and onnx cannot convert it to 11", opset_1=imported(("", 1)))
refused(
    r"several ai\.onnx opsets \(7, 13, 18\)", opsets=imported(("", 18), ("", 13), ("ai.onnx", 7))
)
refused(
    "imports no ai.onnx opset", no_opset=imported(), only_another_opset=imported(("my.company", 1))
)
refused(
    "ir_version 9999", ir_version_9999=changed(lambda model: setattr(model, "ir_version", 9999))
)
answered(
    ir_version_0=changed(lambda model: setattr(model, "ir_version", 0)),
    ir_version_negative=changed(lambda model: setattr(model, "ir_version", -1)),
)

refused("No Op registered for Rellu", unknown_operator=inserted("Rellu"))
refused(
    "No opset import for domain 'my.company'", unknown_domain=inserted("Relu", domain="my.company")
)
refused(
    r"nothing is known of 'odd' at node 'NoSuchThing:odd'",
    unknown_contributed=inserted("NoSuchThing", domain="com.microsoft"),
)
refused("'op_type' of 'node' is required", operator_without_name=inserted(""))
refused("No Op registered for Gelu", operator_of_a_later_opset=inserted("Gelu", opset=11))
refused("'odd' would have the shape", operator_of_an_earlier_opset=inserted("Upsample", weights(4)))
refused("No Op registered for xxx.* .. .*xxx", operator_with_a_long_name=inserted("x" * 100_000))
