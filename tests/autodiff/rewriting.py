"""What is done to a test's model before its gradient is run."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from autodiff.oracle import Arrays, is_differentiable, ort_session
from onnx import TensorProto, helper, numpy_helper

from onnxcam import append_gradients


def with_gradient(
    test_model: onnx.ModelProto, targets: Sequence[str], wrt: Sequence[str]
) -> onnx.ModelProto:
    """The model with the gradients of its weighted outputs."""
    if len(targets) == 1:
        return append_gradients(test_model, of=targets[0], wrt=wrt, seed=True)
    return append_gradients(_with_loss(test_model, targets), of="loss", wrt=wrt)


def with_stored_integers(given: onnx.ModelProto, feeds: Arrays) -> onnx.ModelProto:
    """The model with the integers it is fed stored in it, as exporters do with axes and sizes."""
    model = onnx.ModelProto()
    model.CopyFrom(given)
    for name, value in feeds.items():
        if not is_differentiable(value):
            model.graph.initializer.append(numpy_helper.from_array(value, name))
    stored = {tensor.name for tensor in model.graph.initializer}
    del model.graph.input[:]
    model.graph.input.extend(value for value in given.graph.input if value.name not in stored)
    return model


def loads(model: onnx.ModelProto) -> bool:
    try:
        ort_session(model)
    except Exception:  # it has no common type
        return False
    return True


def with_symbolic_axis(given: onnx.ModelProto, wrt: str) -> onnx.ModelProto:
    """The model with the first axis of an input a symbol, wherever inputs have that length."""
    model = onnx.ModelProto()
    model.CopyFrom(given)
    shapes = {v.name: v.type.tensor_type.shape for v in model.graph.input}
    length = shapes[wrt].dim[0].dim_value
    for shape in shapes.values():
        if shape.dim and shape.dim[0].dim_value == length:
            shape.dim[0].dim_param = "length"
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return model


def _with_loss(given: onnx.ModelProto, targets: Sequence[str]) -> onnx.ModelProto:
    """The model with one more output, the sum of several outputs weighted by new inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(given)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.output}
    double = any(kinds[name] == TensorProto.DOUBLE for name in targets)
    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    parts = []
    for name in targets:
        value = next(v for v in model.graph.output if v.name == name)
        seed = model.graph.input.add()
        seed.CopyFrom(value)
        seed.name = f"{name}_seed"
        seed.type.tensor_type.elem_type = kind
        model.graph.node.extend(
            [
                helper.make_node("Cast", [name], [f"{name}_wide"], to=kind),
                helper.make_node("Mul", [f"{name}_wide", f"{name}_seed"], [f"{name}_weighted"]),
                helper.make_node("ReduceSum", [f"{name}_weighted"], [f"{name}_sum"], keepdims=0),
            ]
        )
        parts.append(f"{name}_sum")
    model.graph.node.append(helper.make_node("Sum", parts, ["loss"]))
    model.graph.output.append(helper.make_tensor_value_info("loss", kind, []))
    return model
