"""What is refused before any library gets to see it, because it would hang, crash or fill memory.

onnx's checker looks at each node's form, not at what its numbers lead to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from onnxcam.errors import ModelError, one_line
from onnxcam.graph.dims import Shape
from onnxcam.graph.external import is_external, size_in_bytes, tensors_of
from onnxcam.graph.protos import named, nodes_of, stored_constant

LARGEST_NUMBER = 2**31 - 1
"""Of the attributes that count something."""

LARGEST_TENSOR = 2**36
"""Elements of one tensor: 256 GB of float32."""

LARGEST_RANK = 64
"""NumPy's own limit."""

LARGEST_KEPT_CONSTANT = 1024
"""Elements of the stored values that shape inference gets to see (`onnxcam.graph.shapes`)."""

LARGEST_ARITHMETIC = 2**20
"""Elements that shape arithmetic may put together."""

_COUNTS = {"kernel_shape", "strides", "dilations", "group", "blocksize", "num_groups", "size"}
_LENGTHS = {"pads", "output_padding"}

_ELEMENT_TYPES = frozenset(onnx.TensorProto.DataType.values())
_INTEGERS = {onnx.TensorProto.INT32, onnx.TensorProto.INT64}

_CARRIED = {
    "Add", "Cast", "Concat", "Div", "Gather", "Identity", "Max", "Min", "Mul", "Reshape", "Slice",
    "Squeeze", "Sub", "Unsqueeze",
}  # fmt: skip
"""Operators whose values onnx computes while it infers shapes."""


def require_sane(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself; raises `ModelError` where numbers in it make no sense."""
    for node in nodes_of(model.graph.node):
        for attribute in node.attribute:
            if attribute.name in _COUNTS | _LENGTHS:
                _require_number(node, attribute)
        _require_one_rank(node)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        _require_known_type(value)
    for tensor in tensors_of(model.graph):
        if not is_external(tensor):
            _require_complete(tensor)
    for sparse in model.graph.sparse_initializer:
        _require_places(sparse)
    _require_tame_arithmetic(model.graph)
    return model


def require_possible(name: str, shape: Shape | None) -> None:
    """Raises `ModelError` for a shape that no tensor can have."""
    dims = [dim for dim in shape or () if isinstance(dim, int)]
    too_long = shape is not None and len(shape) > LARGEST_RANK
    if too_long or min(dims, default=0) < 0 or math.prod(dims) > LARGEST_TENSOR:
        said = f"{len(dims)} dimensions" if too_long else f"the shape {shape}"
        raise ModelError(f"'{name}' would have {said}, which no tensor can have; export it again")


def _require_known_type(value: onnx.ValueInfoProto) -> None:
    elem_type = value.type.tensor_type.elem_type
    if elem_type not in _ELEMENT_TYPES:
        raise ModelError(
            f"'{value.name}' has the element type {elem_type}, which onnx {onnx.__version__} does "
            f"not know; install a newer one, or export the model again"
        )


def _require_number(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    least = 1 if attribute.name in _COUNTS else -LARGEST_NUMBER
    given = helper.get_attribute_value(attribute)
    numbers = given if isinstance(given, Sequence) else [given]
    if any(isinstance(k, int) and not least <= k <= LARGEST_NUMBER for k in numbers):
        raise ModelError(
            f"the model is not valid ONNX: {named(node)} has {attribute.name} {given}; "
            f"export it again"
        )


def _require_one_rank(node: onnx.NodeProto) -> None:
    """A window has as many strides and dilations as sides, and a pad at both ends of each."""
    lengths = {a.name: len(a.ints) for a in node.attribute if a.ints}
    rank = lengths.get("kernel_shape")
    if rank is None:
        return
    for name, expected in {"strides": rank, "dilations": rank, "pads": 2 * rank}.items():
        if lengths.get(name, expected) != expected:
            raise ModelError(
                f"the model is not valid ONNX: {named(node)} has {lengths[name]} {name} for a "
                f"window of {rank} sides; export it again"
            )


def _require_complete(tensor: onnx.TensorProto) -> None:
    """As many stored values as the dimensions say; dimensions that none can have."""
    reason = ""
    if min(tensor.dims, default=0) < 0 or len(tensor.dims) > LARGEST_RANK:
        reason = "which no tensor can have"
    elif tensor.HasField("segment"):
        reason = "of which only a segment is stored"
    elif not (given := len(tensor.raw_data)) and _is_left_out(tensor):
        return
    elif given and tensor.data_type != onnx.TensorProto.STRING:
        length = size_in_bytes(tensor)
        if given != length:
            reason = f"which take {length} bytes, but {given} are stored"
    else:
        try:
            onnx.checker.check_tensor(tensor)
        except onnx.checker.ValidationError as error:
            reason = f"which is not valid ONNX ({one_line(error)})"
    if reason:
        raise ModelError(
            f"the weights '{tensor.name}' have the shape {list(tensor.dims)}, {reason}; "
            f"export the model again"
        )


def _is_left_out(tensor: onnx.TensorProto) -> bool:
    """As graphs are passed on without their weights."""
    filled = any(field.name.endswith("_data") and value for field, value in tensor.ListFields())
    return math.prod(tensor.dims) > LARGEST_KEPT_CONSTANT and not filled


def _require_places(sparse: onnx.SparseTensorProto) -> None:
    try:
        onnx.checker.check_sparse_tensor(sparse)
    except onnx.checker.ValidationError as error:
        raise ModelError(
            f"the sparse weights '{sparse.values.name}' are not valid ONNX ({one_line(error)}); "
            f"export the model again"
        ) from None


def _require_tame_arithmetic(graph: onnx.GraphProto) -> None:
    """What onnx works out along with the shapes stays small, and traps nowhere."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        constant = stored_constant(node)
        if constant is not None and node.output:
            stored[node.output[0]] = constant
    lengths = {name: math.prod(tensor.dims) for name, tensor in stored.items()}
    lengths = {name: n for name, n in lengths.items() if n <= LARGEST_KEPT_CONSTANT}
    for node in graph.node:
        if node.op_type not in _CARRIED or not node.output:
            continue
        given = [lengths.get(name, 0) for name in node.input]
        made = sum(given) if node.op_type == "Concat" else max(given, default=0)
        if made > LARGEST_ARITHMETIC:
            raise ModelError(
                f"{named(node)} puts {made} stored numbers together, more than any shape needs; "
                f"export the model again"
            )
        lengths[node.output[0]] = made
        if node.op_type == "Div" and all(name in stored for name in node.input):
            _require_quotient(node, *(stored[name] for name in node.input))


def _require_quotient(
    node: onnx.NodeProto, numbers: onnx.TensorProto, divisors: onnx.TensorProto
) -> None:
    """The smallest integer divided by -1 is none, and ends the process that tries it."""
    if numbers.data_type not in _INTEGERS or is_external(numbers) or is_external(divisors):
        return
    a, b = (onnx.numpy_helper.to_array(tensor) for tensor in (numbers, divisors))
    if (a == np.iinfo(a.dtype).min).any() and (b == -1).any():
        raise ModelError(
            f"{named(node)} divides the smallest integer by -1; export the model again"
        )
