"""Emitted gradients against central finite differences, one small model at a time.

A `Case` is one node. Its finite differences are taken in float64, by onnx's reference evaluator,
which also says what the outputs ought to be. The gradient is what ONNX Runtime computes from the
rewritten float32 model.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network

NEWEST = 26
"""The newest opset that the ONNX Runtime of the tests accepts."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fed:
    """An input of given values that is fed by the run, not stored in the file."""

    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Case:
    """One node, and with respect to which input it is differentiated.

    An input is a shape (random values, fed), an array (stored), a `Fed` or None (left out).
    `dynamic` are the axes of the fed inputs that may be symbols instead of numbers; an axis of
    another input is the same symbol where rank and length agree. `runtime` takes the finite
    differences in ONNX Runtime, in float32, where the reference evaluator has no such operator
    or is wrong about it.
    """

    op: str
    inputs: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    wrt: int = 0
    of: int = 0
    outputs: int = 1
    opset: int = 18
    low: float = -2.0
    high: float = 2.0
    dynamic: tuple[tuple[int, ...], ...] = ((0,),)
    runtime: bool = False

    def __str__(self) -> str:
        shapes = "_".join("x".join(map(str, np.shape(_values(i)))) or "0d" for i in self.inputs)
        attrs = "".join(f"-{k}={_short(v)}" for k, v in self.attrs.items())
        where = f"-d{self.wrt}" if self.wrt else ""
        output = f"-of{self.of}" if self.of else ""
        return f"{self.op}-{self.opset}-{shapes}{where}{output}{attrs}"

    @property
    def x(self) -> str:
        return f"x{self.wrt}"

    @property
    def y(self) -> str:
        return f"y{self.of}"


def case(op: str, *inputs: Any, **given: Any) -> Case:
    """A case; what is no field of it is an attribute of the node."""
    fields = {k: given.pop(k) for k in list(given) if k in Case.__dataclass_fields__}
    return Case(op, inputs, given, **fields)


def _values(given: Any) -> Any:
    if given is None:
        return np.zeros(0)
    if isinstance(given, Fed):
        return given.values
    return np.broadcast_to(0, given) if isinstance(given, tuple) else given


def _short(value: Any) -> str:
    return str(value).replace(" ", "").replace("'", "")


# -- the model and its feeds ------------------------------------------------------------------


def spread_values(shape: tuple[int, ...], low: float, high: float, seed: int) -> np.ndarray:
    """Distinct, evenly spaced values in random order: no ties, and none close to another."""
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    steps = (np.arange(count) + rng.uniform(0.3, 0.7)) / max(count, 1)
    return (low + (high - low) * rng.permutation(steps)).reshape(shape)


def case_seed(case: Case) -> int:
    return zlib.crc32(str(case).encode())


def feeds_of(case: Case) -> Arrays:
    """What the model is fed, floats in float64."""
    feeds: Arrays = {}
    for k, given in enumerate(case.inputs):
        if isinstance(given, Fed):
            feeds[f"x{k}"] = given.values
        elif isinstance(given, tuple):
            feeds[f"x{k}"] = spread_values(given, case.low, case.high, case_seed(case) + k)
    return feeds


def model_of(case: Case, dtype: Any = np.float32, dynamic: tuple[int, ...] = ()) -> onnx.ModelProto:
    """The one-node model, floats of that type, some axes symbolic."""
    feeds = feeds_of(case)
    sizes = feeds[case.x].shape
    inputs = []
    for name, value in feeds.items():
        dims: list[int | str] = list(value.shape)
        for axis in dynamic:
            if value.ndim == len(sizes) and dims[axis] == sizes[axis]:
                dims[axis] = f"size{axis}"
        inputs.append(helper.make_tensor_value_info(name, _elem_type(value, dtype), dims))
    stored = [
        numpy_helper.from_array(as_type(given, dtype), f"x{k}")
        for k, given in enumerate(case.inputs)
        if isinstance(given, np.ndarray)
    ]
    names = ["" if given is None else f"x{k}" for k, given in enumerate(case.inputs)]
    node = helper.make_node(case.op, names, [f"y{k}" for k in range(case.outputs)], **case.attrs)
    output = helper.make_empty_tensor_value_info(case.y)
    graph = helper.make_graph([node], "case", inputs, [output], stored)
    opset = helper.make_opsetid("", case.opset)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output[0]
    if not inferred.type.tensor_type.elem_type:  # onnx knows nothing: of the first input's type
        inferred.type.tensor_type.elem_type = inputs[0].type.tensor_type.elem_type
    model.graph.output[0].CopyFrom(inferred)
    return model


def network_of(case: Case, dynamic: tuple[int, ...] = (), dtype: Any = np.float32) -> Network:
    """The model as onnxcam reads it."""
    return Network(model_of(case, dtype, dynamic))


def as_type(value: np.ndarray, dtype: Any) -> np.ndarray:
    """Floats (written in float64) in the model's type; what is float32 has to be that."""
    if value.dtype != np.float64:
        return value
    with np.errstate(over="ignore"):  # float32's largest value, as a bound, is infinite in float16
        return value.astype(dtype)


def _elem_type(value: np.ndarray, dtype: Any) -> int:
    kind = np.dtype(dtype) if value.dtype == np.float64 else value.dtype
    return int(helper.np_dtype_to_tensor_dtype(kind))


def graph_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
    stored: Mapping[str, np.ndarray] | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """A float32 model of several nodes, its outputs' shapes inferred."""
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, kind, list(dims)) for name, dims in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (stored or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for output, found in zip(model.graph.output, inferred.graph.output, strict=True):
        output.CopyFrom(found)
    return model


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession | ReferenceEvaluator:
    """What runs a model: ONNX Runtime, the reference evaluator beyond the opsets it knows."""
    if max(opset.version for opset in model.opset_import if not opset.domain) > NEWEST:
        return ReferenceEvaluator(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it refuses, it raises as well
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def complete(
    e: Emitter, outputs: Mapping[str, gs.Tensor], inputs: Sequence[gs.Variable]
) -> onnx.ModelProto:
    """The model with what has been emitted."""
    return merge(e, outputs, inputs)


def single(feeds: Arrays) -> Arrays:
    """The feeds with floats in float32."""
    return {name: as_type(value, np.float32) for name, value in feeds.items()}


# -- what is right ----------------------------------------------------------------------------


def difference_gradient(
    f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, weights: np.ndarray, step: float
) -> np.ndarray:
    """Central differences of sum(weights * f) at x."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        ends = []
        for sign in (step, -step):
            moved = x.copy()
            moved[index] += sign
            ends.append(float((np.asarray(f(moved), np.float64) * weights).sum()))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def _forward(case: Case) -> Callable[[Arrays], np.ndarray]:
    if case.runtime:
        session = session_of(model_of(case))
        return lambda feeds: session.run([case.y], single(feeds))[0]
    evaluator = ReferenceEvaluator(model_of(case, np.float64))
    return lambda feeds: evaluator.run([case.y], feeds)[0]


@cache
def expected(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output, random weights of its elements, and the gradient of the weighted sum."""
    forward = _forward(case)
    feeds = feeds_of(case)
    y = np.asarray(forward(feeds))
    weights = np.random.default_rng(case_seed(case)).uniform(-1, 1, y.shape)
    step = 1e-2 if case.runtime else 1e-5
    gradient = difference_gradient(
        lambda x: forward(feeds | {case.x: x}), feeds[case.x], weights, step
    )
    return y, weights, gradient


def assert_close(got: np.ndarray, want: np.ndarray, tolerance: float = 1e-4) -> None:
    """Equal up to a share of the largest expected value."""
    assert got.shape == want.shape
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)
