"""Reading a model: a path or a `ModelProto` in, a complete `ModelProto` or a clear error out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from onnxcam.errors import ModelError, one_line
from onnxcam.graph.external import (
    LARGEST_MESSAGE,
    attach,
    completed,
    is_external,
    places,
    size_in_bytes,
    tensors_of,
)
from onnxcam.graph.model_file import ModelFile
from onnxcam.graph.protos import STANDARD, opset_of, stored_constant

ModelSource = str | os.PathLike[str] | onnx.ModelProto


def load(model: ModelSource) -> onnx.ModelProto:
    """Read a model.

    `model` is a path or an `onnx.ModelProto`; a proto is returned as it is, never changed. Large
    weights in files of their own stay there (`onnxcam.graph.external`).
    Raises `ModelError` when the file is missing, is not ONNX, is cut short, or when a file of
    external data is missing or too short.
    """
    return load_with_file(model)[0]


def load_with_file(model: ModelSource) -> tuple[onnx.ModelProto, ModelFile | None]:
    """The same, and the one file that holds all of the model, None where there is no such file."""
    if isinstance(model, onnx.ModelProto):
        _require_graph(model, "the given ModelProto")
        _require_size(model)
        places(model)  # raises where the proto does not say
        return model, None
    if not isinstance(model, str | os.PathLike):
        raise ModelError(f"a model is a path or an onnx.ModelProto, not {type(model).__name__}")
    path = Path(model)
    if not os.path.exists(path):  # Path.exists() raises for a name that is too long
        raise ModelError(f"{path}: no such file")
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the .onnx file itself")
    try:
        file = ModelFile(path)
        proto = file.parsed()
    except DecodeError:
        raise ModelError(
            f"{path}: not a complete ONNX file (other format, or cut short); "
            "export or copy it again"
        ) from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    _require_graph(proto, str(path))
    return proto, None if attach(proto, path) else file


def _require_graph(proto: onnx.ModelProto, name: str) -> None:
    if not proto.graph.node:
        raise ModelError(f"{name}: not an ONNX model (it holds no graph)")
    opsets = {opset.version for opset in proto.opset_import if opset.domain in STANDARD}
    if not opsets:
        raise ModelError(f"{name}: not a usable ONNX model (it imports no ai.onnx opset)")
    if len(opsets) > 1:
        several = ", ".join(map(str, sorted(opsets)))
        raise ModelError(f"{name}: imports several ai.onnx opsets ({several}); export it again")
    opset, newest = max(opsets), onnx.defs.onnx_opset_version()
    if not 1 <= opset <= newest:
        raise ModelError(
            f"{name}: uses opset {opset}, and onnx {onnx.__version__} knows 1 to {newest}; "
            f"install a newer onnx, or export it with another opset"
        )
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


def _require_size(proto: onnx.ModelProto) -> None:
    """protobuf can hold more in memory than it can write."""
    inside = (tensor for tensor in tensors_of(proto.graph) if not is_external(tensor))
    if sum(map(size_in_bytes, inside)) > LARGEST_MESSAGE:
        raise ModelError(
            "the given ModelProto holds more than 2 GB, which nothing can read in one piece; give "
            "the path of the model with its external data, or write it so: "
            "onnx.save(model, path, save_as_external_data=True)"
        )


OLDEST_OPSET = 11
"""Before it, pads, slices and clips were attributes, and floats could not be compared."""


def modernized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy at opset 11 of an older one (Paddle still exports opset 9).

    Raises `ModelError` when onnx's own converter cannot do it.
    """
    opset = opset_of(model)
    if opset >= OLDEST_OPSET:
        return model
    from onnx import version_converter  # rarely needed

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        converted = version_converter.convert_version(completed(copy), OLDEST_OPSET)
    except Exception as error:  # the converter raises whatever its C++ throws
        raise ModelError(
            f"the model uses opset {opset}, and onnx cannot convert it to {OLDEST_OPSET} "
            f"({one_line(error)}); export it again with a newer opset"
        ) from None
    _keep_coordinates(converted.graph)
    return converted


def _keep_coordinates(graph: onnx.GraphProto) -> None:
    """Say what `Upsample` and `Resize` meant before opset 11, which onnx's converter leaves out.

    Position i came from i / scale: its nearest was the one before it, and the one behind it where
    a picture gets smaller (stored scales tell).
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        constant = stored_constant(node)
        if constant is not None:
            stored[node.output[0]] = constant
    for node in graph.node:
        if node.op_type == "Resize":
            known = stored.get(node.input[2])
            scales = np.ones(1) if known is None else onnx.numpy_helper.to_array(known)
            smaller = bool((scales < 1).any() and not (scales > 1).any())
            meant = {
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "ceil" if smaller else "floor",
            }
            node.attribute.extend(onnx.helper.make_attribute(k, v) for k, v in meant.items())


def with_picture_size(
    model: onnx.ModelProto, name: str, layout: str, size: tuple[int, ...]
) -> onnx.ModelProto:
    """A copy of the model whose input `name` takes pictures (volumes, signals) of one size only."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    value = next(value for value in fixed.graph.input if value.name == name)
    for letter, length in zip(layout.strip("NC"), size, strict=True):
        value.type.tensor_type.shape.dim[layout.index(letter)].dim_value = length
    return fixed
