"""Walking a graph node by node with the small integers in hand.

Exporters that trace dynamic sizes leave long chains of shape arithmetic (`Shape`, `Gather`, `Mod`,
`Concat`, ...) that whole-graph inference gives up on. Here the integers are computed as the walk
goes, and each node's output shapes are inferred with the values of its inputs known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxcam.graph.contrib_shapes import infer_contributed
from onnxcam.graph.interpret_bodies import infer_outputs
from onnxcam.graph.protos import STANDARD, attributes, opset_of, stored_constant
from onnxcam.graph.window_shapes import window_outputs

LARGEST_VALUE = 4096
"""Arrays above this many elements are not followed: shape arithmetic is small."""

_REFUSALS = (
    onnx.defs.SchemaError,
    onnx.shape_inference.InferenceError,
    onnx.checker.ValidationError,
    RuntimeError,
    ValueError,
)
"""How onnx says that it cannot infer a node."""

_LIKE_INPUT = {"GroupNormalization", "MeanVarianceNormalization"}
"""Operators whose shape onnx does not infer although it is their input's."""

Attrs = dict[str, Any]
Arrays = list[Any]


def interpret(
    model: onnx.ModelProto,
) -> tuple[dict[str, onnx.TypeProto], dict[str, np.ndarray]]:
    """Types (with shapes) of all tensors and values of the small computed ones, by name.

    `model` must have static inputs. What cannot be inferred is left out.
    """
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opsets |= dict.fromkeys(STANDARD, opset_of(model))
    types = {value.name: value.type for value in model.graph.input}
    values: dict[str, np.ndarray] = {}
    for tensor in model.graph.initializer:
        _learn(tensor.name, numpy_helper.to_array(tensor), types, values)
    for node in model.graph.node:
        computed = _compute(node, types, values)
        if computed is not None:
            _learn(node.output[0], computed, types, values)
        elif node.op_type in ("If", "Loop"):
            types.update(_infer(node, model, opsets, types, values))
            types.update(infer_outputs(node, model, types, values, interpret))
        else:
            types.update(_infer(node, model, opsets, types, values))
    return types, values


def _learn(
    name: str,
    value: np.ndarray,
    types: dict[str, onnx.TypeProto],
    values: dict[str, np.ndarray],
) -> None:
    elem_type = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    types[name] = onnx.helper.make_tensor_type_proto(elem_type, value.shape)
    if value.size <= LARGEST_VALUE:
        values[name] = value


def _infer(
    node: onnx.NodeProto,
    model: onnx.ModelProto,
    opsets: dict[str, int],
    types: dict[str, onnx.TypeProto],
    values: dict[str, np.ndarray],
) -> dict[str, onnx.TypeProto]:
    used = [name for name in node.input if name]
    if any(name not in types for name in used):
        return {}
    if node.op_type in _LIKE_INPUT:
        return {node.output[0]: types[used[0]]}
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets.get(node.domain, 1), node.domain)
        data = {name: numpy_helper.from_array(values[name]) for name in used if name in values}
        found = dict(
            onnx.shape_inference.infer_node_outputs(
                schema,
                node,
                {name: types[name] for name in used},
                data,
                opset_imports=list(model.opset_import),
                ir_version=model.ir_version,
            )
        )
        return found | _kept_rank(node, types, found) | window_outputs(node, types)
    except _REFUSALS:
        return infer_contributed(node, types, values)


def _kept_rank(
    node: onnx.NodeProto, types: dict[str, onnx.TypeProto], found: dict[str, onnx.TypeProto]
) -> dict[str, onnx.TypeProto]:
    """The input's rank, where onnx says nothing because axes or sizes are not known yet."""
    keeps = all(a.i for a in node.attribute if a.name == "keepdims")
    reduces = node.op_type.startswith("Reduce") and keeps
    if not reduces and node.op_type not in ("CenterCropPad", "MaxUnpool"):
        return {}
    x, y = types[node.input[0]].tensor_type, found[node.output[0]].tensor_type
    if y.HasField("shape") or not x.HasField("shape"):
        return {}
    unknown = [None] * len(x.shape.dim)
    return {node.output[0]: onnx.helper.make_tensor_type_proto(x.elem_type, unknown)}


def _compute(
    node: onnx.NodeProto,
    types: dict[str, onnx.TypeProto],
    values: dict[str, np.ndarray],
) -> np.ndarray | None:
    """The node's value if it can be known now; shape arithmetic only."""
    if node.domain not in STANDARD or len(node.output) != 1:
        return None
    stored = stored_constant(node)
    if stored is not None:
        return numpy_helper.to_array(stored)
    attrs = attributes(node)
    if node.op_type == "Shape":
        return _shape(types.get(node.input[0]), attrs)
    evaluate = _EVALUATE.get(node.op_type)
    if evaluate is None or any(name and name not in values for name in node.input):
        return None
    arrays = [values[name] if name else None for name in node.input]
    try:
        with np.errstate(divide="raise", invalid="raise", over="ignore"):
            result = np.asarray(evaluate(arrays, attrs))
    except (ValueError, IndexError, TypeError, ArithmeticError):
        return None
    return result if result.size <= LARGEST_VALUE else None


def _shape(kind: onnx.TypeProto | None, attrs: Attrs) -> np.ndarray | None:
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    shape = np.array([dim.dim_value for dim in dims], dtype=np.int64)
    return shape[attrs.get("start", 0) : attrs.get("end", len(shape))]


def _axes(arrays: Arrays, attrs: Attrs) -> list[int]:
    """Axes as an attribute (before opset 13) or as the second input; [] when left out."""
    given = arrays[1] if len(arrays) > 1 else attrs.get("axes")
    return [] if given is None else [int(axis) for axis in np.ravel(given)]


def _unsqueeze(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return np.expand_dims(arrays[0], tuple(_axes(arrays, attrs)))


def _squeeze(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return np.squeeze(arrays[0], tuple(_axes(arrays, attrs)) or None)


def _divide(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    a, b = arrays
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    quotient = a // b  # floor; ONNX cuts towards zero
    return np.asarray(quotient + ((quotient < 0) & (quotient * b != a)), a.dtype)


def _mod(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return (np.fmod if attrs.get("fmod") else np.mod)(*arrays)


def _slice(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    if "starts" in attrs:
        starts, ends, axes = attrs["starts"], attrs["ends"], attrs.get("axes")
        steps = None
    else:
        starts, ends, axes, steps = (*arrays[1:], None, None)[:4]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index = [slice(None)] * arrays[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        index[int(axis)] = slice(int(start), int(end), int(step))
    return arrays[0][tuple(index)]


def _constant_of_shape(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    value = numpy_helper.to_array(attrs["value"]) if "value" in attrs else np.zeros(1, np.float32)
    if np.prod(arrays[0]) > LARGEST_VALUE:
        raise ValueError("not shape arithmetic")
    return np.full(arrays[0], value.ravel()[0])


def _expand(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(arrays[1]))
    return np.broadcast_to(arrays[0], shape)  # a view: nothing large is ever filled


def _range(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    start, limit, delta = arrays
    count = max(0, int(np.ceil((limit - start) / delta)))
    if count > LARGEST_VALUE:
        raise ValueError("not shape arithmetic")
    return np.asarray(start + np.arange(count) * delta, arrays[0].dtype)


def _reshape(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    kept = not attrs.get("allowzero")
    dims = [arrays[0].shape[i] if d == 0 and kept else d for i, d in enumerate(arrays[1])]
    return arrays[0].reshape(dims)


def _cast(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return arrays[0].astype(onnx.helper.tensor_dtype_to_np_dtype(attrs["to"]))


def _reduce(function: Callable[..., Any]) -> Callable[[Arrays, Attrs], np.ndarray]:
    def evaluate(arrays: Arrays, attrs: Attrs) -> np.ndarray:
        axis = tuple(_axes(arrays, attrs)) or None
        if axis is None and attrs.get("noop_with_empty_axes"):
            return np.asarray(arrays[0])
        result = function(arrays[0], axis=axis, keepdims=bool(attrs.get("keepdims", 1)))
        return np.asarray(result).astype(arrays[0].dtype)  # NumPy widens sums of small integers

    return evaluate


def _numpy(function: Callable[..., Any]) -> Callable[[Arrays, Attrs], np.ndarray]:
    return lambda arrays, attrs: function(*arrays)


_EVALUATE: dict[str, Callable[[Arrays, Attrs], Any]] = {
    "Identity": _numpy(lambda x: x),
    "Cast": _cast,
    "Gather": lambda arrays, attrs: np.take(arrays[0], arrays[1], axis=attrs.get("axis", 0)),
    "Concat": lambda arrays, attrs: np.concatenate(arrays, axis=attrs["axis"]),
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": lambda arrays, attrs: np.transpose(arrays[0], attrs.get("perm")),
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Where": _numpy(np.where),
    "Size": _numpy(np.size),
    "Add": _numpy(np.add),
    "Sub": _numpy(np.subtract),
    "Mul": _numpy(np.multiply),
    "Div": _divide,
    "Mod": _mod,
    "Neg": _numpy(np.negative),
    "Abs": _numpy(np.abs),
    "Floor": _numpy(np.floor),
    "Ceil": _numpy(np.ceil),
    "Sqrt": _numpy(np.sqrt),
    "Equal": _numpy(np.equal),
    "Greater": _numpy(np.greater),
    "Less": _numpy(np.less),
    "Not": _numpy(np.logical_not),
    "And": _numpy(np.logical_and),
    "Or": _numpy(np.logical_or),
    "Min": lambda arrays, attrs: reduce(np.minimum, arrays),
    "Max": lambda arrays, attrs: reduce(np.maximum, arrays),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
}
