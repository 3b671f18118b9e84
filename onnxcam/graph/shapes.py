"""Shapes of all tensors of a model, with symbols where a dimension varies.

ONNX's own inference carries symbols through few operators (a `Reshape` loses them at once), but
it carries numbers through nearly all. So a model with dynamic inputs is inferred under several
different sets of input sizes: a dimension that always comes out the same is static, one that
differs becomes a symbol named after its values, and equal symbols mean equal dimensions.
Weights are left out of the inferred copy, and so is the model's own `value_info`, which
quantisation tools leave stale.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx

from onnxcam.errors import ModelError, damage
from onnxcam.graph.contrib_shapes import name_apart
from onnxcam.graph.dims import Dim, Shape
from onnxcam.graph.interpret import interpret
from onnxcam.graph.protos import named, stored_constant
from onnxcam.graph.sanity import LARGEST_KEPT_CONSTANT
from onnxcam.graph.window_shapes import replace_misjudged

_LONGEST_VECTOR = 2**20

_COMPLAINT = re.compile(r"\(op_type:(.*?), node name: (.*?)\): (?:\[\w+\] )*(.*)")
"""How onnx says at which node the inference of shapes fails."""

_BATCH_SIZES = (7, 11)
_OTHER_SIZES = ((224, 288), (256, 352), (320, 416), (192, 384), (160, 448))
"""Multiples of 32, as many models demand."""

_CHANNELS = 3


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
        self._skeleton = _without_weights(model)
        try:
            onnx.checker.check_model(self._skeleton)
        except onnx.checker.ValidationError as error:
            reason = " ".join(str(error).split("==> Context")[0].split())
            if "deprecated" not in reason:  # onnx refuses what runtimes still run
                said = reason.removesuffix(".")
                raise ModelError(f"the model is not valid ONNX: {said}; export it again") from None
        self._free = _free_dims(self._skeleton)

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
            keys = [_dim_key(value, axis) for axis in range(len(dims))]
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
    known = {i: _known(run) for i, run in runs.items()}
    return [i for i, of_it in known.items() if i < len(_BATCH_SIZES) or of_it >= known[0]]


def _infos(run: dict[str, onnx.TypeProto]) -> dict[str, TensorInfo]:
    return {k: _info(v) for k, v in run.items() if v.HasField("tensor_type")}


def _known(run: dict[str, onnx.TypeProto]) -> set[str]:
    return {name for name, info in _infos(run).items() if _is_known(info)}


def _is_known(info: TensorInfo | None) -> bool:
    return info is not None and info.shape is not None and None not in info.shape


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model in which weights have become inputs of the same type and shape."""
    skeleton = onnx.ModelProto()
    skeleton.ir_version = max(model.ir_version, 4)  # initializers need not be inputs from 4 on
    skeleton.opset_import.extend(model.opset_import)
    skeleton.functions.extend(model.functions)
    graph = skeleton.graph
    graph.name = model.graph.name or "graph"
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    stored = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(value for value in model.graph.input if value.name not in stored)
    graph.output.extend(model.graph.output)
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            # The checker insists on one, ONNX Runtime does not; it is inferred anew anyway.
            value.type.tensor_type.shape.SetInParent()
    for tensor in model.graph.initializer:
        if _numel(tensor) <= LARGEST_KEPT_CONSTANT:
            graph.initializer.append(tensor)
        else:
            graph.input.append(_value_info(tensor.name, tensor))
    for node in model.graph.node:
        weight = stored_constant(node)
        if weight is not None and _numel(weight) > LARGEST_KEPT_CONSTANT:
            graph.input.append(_value_info(node.output[0], weight))
        else:
            copy = graph.node.add()
            copy.CopyFrom(node)
            copy.ClearField("metadata_props")
            if copy.op_type == "STFT" and not copy.attribute:
                # The default is 1, though onnx infers as if it were 0.
                copy.attribute.append(onnx.helper.make_attribute("onesided", 1))
    name_apart(skeleton)
    return skeleton


def _numel(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))


def _value_info(name: str, tensor: onnx.TensorProto) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))


def _dim_key(value: onnx.ValueInfoProto, axis: int) -> str | None:
    """A name for a dimension that varies, or None for a static one."""
    dim = value.type.tensor_type.shape.dim[axis]
    if dim.HasField("dim_value") and dim.dim_value > 0:
        return None
    anonymous = dim.dim_param in ("", "?", "-1", "None")
    return f"{value.name}.{axis}" if anonymous else dim.dim_param


def _free_dims(skeleton: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The sizes to try for each input dimension that varies."""
    free: dict[str, tuple[int, ...]] = {}
    for value in skeleton.graph.input:
        if not value.type.tensor_type.HasField("shape"):
            continue
        dims = value.type.tensor_type.shape.dim
        for axis in range(len(dims)):
            key = _dim_key(value, axis)
            if key is None or key in free:
                continue
            if axis == 0:
                free[key] = _BATCH_SIZES
            elif len(dims) == 4 and axis == (3 if _looks_channels_last(skeleton, value) else 1):
                free[key] = (_CHANNELS,)
            else:
                taken = sum(1 for sizes in free.values() if len(sizes) > len(_BATCH_SIZES))
                free[key] = (*_OTHER_SIZES[taken % len(_OTHER_SIZES)], *_odd_sizes(taken))
    return free


def _odd_sizes(taken: int) -> tuple[int, ...]:
    """Sizes that stay odd while they are halved, four times.

    An even size hides what is rounded on the way, such as the crop after a stride. These are
    rounded up each time, down each time, and up and down in turns.
    """
    odd = 13 + 2 * taken
    return 16 * odd + 1, 16 * odd - 1, 16 * odd + 5, 16 * odd - 5


def _looks_channels_last(skeleton: onnx.ModelProto, value: onnx.ValueInfoProto) -> bool:
    dims = value.type.tensor_type.shape.dim
    if dims[1].dim_value or dims[3].dim_value:
        return dims[3].dim_value in (1, 3, 4)
    turned = [node for node in skeleton.graph.node if value.name in node.input]
    return any(
        node.op_type == "Transpose" and list(a.ints) == [0, 3, 1, 2]
        for node in turned
        for a in node.attribute
    )


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
