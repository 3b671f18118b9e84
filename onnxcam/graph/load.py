"""Reading a model: a path or a `ModelProto` in, a complete `ModelProto` or a clear error out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from onnxcam.errors import ModelError

_STANDARD = ("", "ai.onnx")

ModelSource = str | os.PathLike[str] | onnx.ModelProto


def load(model: ModelSource) -> onnx.ModelProto:
    """Read a model with all its weights.

    `model` is a path or an `onnx.ModelProto`; a proto is returned as it is, never changed.
    Raises `ModelError` when the file is missing, is not ONNX, is cut short, or when a file of
    external data is missing.
    """
    return load_with_file(model)[0]


def load_with_file(model: ModelSource) -> tuple[onnx.ModelProto, Path | None]:
    """The same, and the one file that holds all of the model, None where there is no such file."""
    if isinstance(model, onnx.ModelProto):
        _require_graph(model, "the given ModelProto")
        return model, None
    path = Path(model)
    if not os.path.exists(path):  # Path.exists() raises for a name that is too long
        raise ModelError(f"{path}: no such file")
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the .onnx file itself")
    try:
        proto = onnx.load(os.fspath(path), format="protobuf", load_external_data=False)
    except DecodeError:
        raise ModelError(
            f"{path}: not a complete ONNX file (other format, or cut short); "
            "export or copy it again"
        ) from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    _require_graph(proto, str(path))
    locations = sorted(set(_external_locations(proto.graph)))
    if not locations:
        return proto, path
    _load_external_data(proto, path, locations)
    return proto, None


def _require_graph(proto: onnx.ModelProto, name: str) -> None:
    if not proto.graph.node:
        raise ModelError(f"{name}: not an ONNX model (it holds no graph)")
    if not any(opset.domain in _STANDARD for opset in proto.opset_import):
        raise ModelError(f"{name}: not a usable ONNX model (it imports no ai.onnx opset)")
    _require_text(proto, name)


def _require_text(proto: onnx.ModelProto, name: str) -> None:
    """protobuf hands over as bytes what is no UTF-8."""
    graph = proto.graph
    named = (*graph.node, *graph.input, *graph.output, *graph.initializer)
    words = [value.name for value in named]
    words += [word for node in graph.node for word in (*node.input, *node.output, node.op_type)]
    words += [d.dim_param for value in graph.input for d in value.type.tensor_type.shape.dim]
    wrong = next((word for word in words if not isinstance(word, str)), None)
    if wrong is not None:
        raise ModelError(f"{name}: the name {wrong!r} in it is no UTF-8 text; rename it")


def _load_external_data(proto: onnx.ModelProto, path: Path, locations: list[str]) -> None:
    for location in locations:
        if not (path.parent / location).is_file():
            raise ModelError(
                f"{path}: its weights are in '{location}', which is missing; "
                f"put that file beside the model"
            )
    try:
        onnx.load_external_data_for_model(proto, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"{path}: its external data cannot be read ({reason})") from None


def tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor stored in a graph: initializers and node attributes, subgraphs included."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from tensors_of(attribute.g)
            for subgraph in attribute.graphs:
                yield from tensors_of(subgraph)


def _external_locations(graph: onnx.GraphProto) -> Iterator[str]:
    for tensor in tensors_of(graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield from (entry.value for entry in tensor.external_data if entry.key == "location")


OLDEST_OPSET = 11
"""Before it, pads, slices and clips were attributes, and floats could not be compared."""


def modernized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy at opset 11 of an older one (Paddle still exports opset 9).

    Raises `ModelError` when onnx's own converter cannot do it.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain in _STANDARD)
    if opset >= OLDEST_OPSET:
        return model
    from onnx import version_converter  # rarely needed

    try:
        return version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # the converter raises whatever its C++ throws
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the model uses opset {opset}, and onnx cannot convert it to {OLDEST_OPSET} "
            f"({reason}); export it again with a newer opset"
        ) from None


def with_picture_size(
    model: onnx.ModelProto, name: str, layout: str, size: tuple[int, int]
) -> onnx.ModelProto:
    """A copy of the model whose input `name` takes pictures of one size (height, width) only."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    value = next(value for value in fixed.graph.input if value.name == name)
    for letter, length in zip("HW", size, strict=True):
        value.type.tensor_type.shape.dim[layout.index(letter)].dim_value = length
    return fixed
