"""Shapes of all tensors of a model, with symbols where a dimension varies.

ONNX's own inference carries symbols through few operators (a `Reshape` loses them at once), but
it carries numbers through nearly all. So a model with dynamic inputs is inferred under several
different sets of input sizes: a dimension that always comes out the same is static, one that
differs becomes a symbol named after its values, and equal symbols mean equal dimensions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx

from onnxcam.errors import ModelError, damage
from onnxcam.graph.dims import Dim, Shape
from onnxcam.graph.interpret import interpret
from onnxcam.graph.protos import named
from onnxcam.graph.skeleton import without_weights
from onnxcam.graph.trial_sizes import BATCH_SIZES, dim_key, free_dims
from onnxcam.graph.window_shapes import replace_misjudged

_LONGEST_VECTOR = 2**20

_COMPLAINT = re.compile(r"\(op_type:(.*?), node name: (.*?)\): (?:\[\w+\] )*(.*)")
"""How onnx says at which node the inference of shapes fails."""


@dataclass(frozen=True)
class TensorInfo:
    """Element type and shape of one tensor; `shape` is None where even the rank is unknown."""

    dtype: np.dtype | None
    shape: Shape | None


class Facts:
    """What can be known of a model's tensors without running it.

    Raises `ModelError` when the graph is malformed (onnx.checker's complaint).
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._skeleton = without_weights(model)
        try:
            onnx.checker.check_model(self._skeleton)
        except onnx.checker.ValidationError as error:
            reason = " ".join(str(error).split("==> Context")[0].split())
            if "deprecated" not in reason:  # onnx refuses what runtimes still run
                said = reason.removesuffix(".")
                raise ModelError(f"the model is not valid ONNX: {said}; export it again") from None
        self._free = free_dims(self._skeleton)

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """Element type and shape of every tensor of the main graph, by name."""
        found = self._combined(self._inferred)
        made = (name for node in self._skeleton.graph.node for name in node.output if name)
        if all(_is_known(found.get(name)) for name in made):
            return found
        walked = self._combined({i: types for i, (types, _) in self._walks.items()})
        return found | {k: v for k, v in walked.items() if not _is_known(found.get(k))}

    @cached_property
    def obstacle(self) -> str:
        """Where shapes stop being known, and why if onnx says so; "" where they never do."""
        try:
            onnx.shape_inference.infer_shapes(self._sized(0), strict_mode=True)
        except (onnx.shape_inference.InferenceError, RuntimeError) as error:
            for op, name, reason in _COMPLAINT.findall(str(error)):
                if not reason.endswith("instead is null"):  # a consequence
                    return f"node '{name}' ({op}): {reason.removesuffix('.')}"
        for node in self._skeleton.graph.node:
            for name in filter(None, node.output):
                if name not in self.tensors or self.tensors[name].shape is None:
                    return f"nothing is known of '{name}' at {named(node)}"
        return ""

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """Computed small tensors whose value does not depend on the sizes that vary."""
        (_, first), *others = self._walks.values()
        return {
            name: value
            for name, value in first.items()
            if all(name in other and np.array_equal(value, other[name]) for _, other in others)
        }

    @cached_property
    def _inferred(self) -> dict[int, dict[str, onnx.TypeProto]]:
        """What inference says under each set of sizes that suits the model."""
        found = {i: _infer(self._sized(i)) for i in self._sets}
        return {i: found[i] for i in _suiting(found)}

    @cached_property
    def _walks(self) -> dict[int, tuple[dict[str, onnx.TypeProto], dict[str, np.ndarray]]]:
        """The same of the walk node by node, with the small values that it computes."""
        with damage():
            found = {i: interpret(self._sized(i)) for i in self._inferred}
        return {i: found[i] for i in _suiting({i: types for i, (types, _) in found.items()})}

    @property
    def _sets(self) -> range:
        """The sets of sizes to try: one where no size varies."""
        return range(max(map(len, self._free.values()), default=1))

    def _sized(self, which: int) -> onnx.ModelProto:
        """The skeleton with one of the sets of input sizes."""
        model = onnx.ModelProto()
        model.CopyFrom(self._skeleton)
        for value in model.graph.output:
            # Declared output shapes may contradict the sizes that are tried.
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.ClearField("shape")
        for value in model.graph.input:
            if not value.type.tensor_type.HasField("shape"):
                continue
            dims = value.type.tensor_type.shape.dim
            keys = [dim_key(value, axis) for axis in range(len(dims))]
            for dim, key in zip(dims, keys, strict=True):
                if key is not None:
                    sizes = self._free[key]
                    dim.dim_value = sizes[which % len(sizes)]
        return model

    def _combined(self, runs: dict[int, dict[str, onnx.TypeProto]]) -> dict[str, TensorInfo]:
        names = {
            tuple(sizes[i % len(sizes)] for i in runs): name for name, sizes in self._free.items()
        }
        infos = [_infos(run) for run in runs.values()]
        return {name: _combine([info.get(name) for info in infos], names) for name in infos[0]}


def _suiting(runs: dict[int, dict[str, onnx.TypeProto]]) -> list[int]:
    """The first two, and those that tell as much as the first: odd sizes do not suit all models."""
    if len(runs) <= len(BATCH_SIZES):
        return list(runs)
    known = {i: _known(run) for i, run in runs.items()}
    return [i for i, of_it in known.items() if i < len(BATCH_SIZES) or of_it >= known[0]]


def _infos(run: dict[str, onnx.TypeProto]) -> dict[str, TensorInfo]:
    return {k: _info(v) for k, v in run.items() if v.HasField("tensor_type")}


def _known(run: dict[str, onnx.TypeProto]) -> set[str]:
    return {name for name, info in _infos(run).items() if _is_known(info)}


def _is_known(info: TensorInfo | None) -> bool:
    return info is not None and info.shape is not None and None not in info.shape


def _infer(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    found = _infer_once(model)
    while replace_misjudged(model, found):
        found = _infer_once(model)
    return found


def _infer_once(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    found = _types(onnx.shape_inference.infer_shapes(model))
    made = (name for node in model.graph.node for name in node.output if name)
    if all(name in found and _lengths(found[name]) is not None for name in made):
        return found
    # To follow values, onnx writes down every element of a vector, unknown ones too.
    vectors = (dims for kind in found.values() if len(dims := _lengths(kind) or []) == 1)
    if any(length > _LONGEST_VECTOR for (length,) in vectors):
        return found
    try:
        return _types(onnx.shape_inference.infer_shapes(model, data_prop=True))
    except (onnx.shape_inference.InferenceError, RuntimeError):
        return found


def _lengths(kind: onnx.TypeProto) -> list[int] | None:
    """The dimensions of a tensor, if they are all known."""
    shape = kind.tensor_type.shape
    known = kind.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in shape.dim)
    return [d.dim_value for d in shape.dim] if known else None


def _types(inferred: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    graph = inferred.graph
    found = {
        tensor.name: onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
        for tensor in graph.initializer
    }
    for value in (*graph.input, *graph.value_info, *graph.output):
        found[value.name] = value.type
    return found


def _info(kind: onnx.TypeProto) -> TensorInfo:
    tensor = kind.tensor_type
    dtype = _numpy_dtype(tensor.elem_type)
    if not tensor.HasField("shape"):
        return TensorInfo(dtype, None)
    dims = tensor.shape.dim
    return TensorInfo(dtype, [d.dim_value if d.HasField("dim_value") else None for d in dims])


def _numpy_dtype(elem_type: int) -> np.dtype | None:
    if elem_type == onnx.TensorProto.UNDEFINED:
        return None
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(elem_type))


def _combine(found: list[TensorInfo | None], names: dict[tuple[int, ...], str]) -> TensorInfo:
    first = found[0]
    assert first is not None
    shapes = [info.shape for info in found if info is not None and info.shape is not None]
    if len(shapes) < len(found) or len({len(shape) for shape in shapes}) > 1:
        return TensorInfo(first.dtype, None)
    return TensorInfo(first.dtype, [_dim(sizes, names) for sizes in zip(*shapes, strict=True)])


def _dim(sizes: tuple[Dim, ...], names: dict[tuple[int, ...], str]) -> Dim:
    known = tuple(size for size in sizes if isinstance(size, int))
    if len(known) < len(sizes):
        return None
    if len(set(known)) == 1:
        return known[0]
    return names.get(known, "dim_" + "_".join(map(str, known)))
