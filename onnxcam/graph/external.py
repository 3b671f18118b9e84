"""Weights in files beside the model (ONNX's external data), left there until somebody asks.

In memory such a tensor says by itself where its values are: its `location` is relative to its
`basepath`. Both are entries that onnx knows; files leave `basepath` out, and runtimes refuse it
(`detached`), because there the folder is the model's own.

Large weights that are in the model's own file are left there in the same way (`leave`); an entry
tells that file from one that was written since.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np
import onnx

from onnxcam.errors import ModelError, one_line
from onnxcam.graph.protos import bodies_of

LARGEST_MESSAGE = 2**31 - 1
"""Bytes that one protobuf message can have: larger models must keep weights outside."""

_SAID = {"basepath", "location", "offset", "length"}
"""Entries of an external tensor that `attach` has seen."""

_STATE = "onnxcam:state"
"""Entry of a tensor whose values are in the model's own file: its state when it was read."""

LARGEST_READ = 1024
"""Tensors of up to this many elements are read with the model: shape arithmetic needs them."""

_BITS = {
    getattr(onnx.TensorProto, name): bits
    for name, bits in {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.items()
    if hasattr(onnx.TensorProto, name)
}
"""Types that are packed, several elements a byte."""


@dataclass(frozen=True)
class Place:
    """Where a tensor's values are; in the model's own file if that has a `state`."""

    file: Path
    offset: int
    length: int
    state: str = ""

    def read(self) -> bytes:
        """The bytes there; `ModelError` when they cannot be read (any more)."""
        if self.state and state_of(self.file) != self.state:
            raise ModelError(f"{self.file}: changed since the model was read; load it again")
        try:
            with self.file.open("rb") as data:
                data.seek(self.offset)
                found = data.read(self.length)
        except OSError as error:
            raise ModelError(f"{self.file}: cannot be read ({error.strerror})") from None
        if len(found) != self.length:
            raise ModelError(f"{self.file}: got shorter since the model was read; load it again")
        return found


def state_of(file: Path) -> str:
    """What tells that a file was written again; "" where there is none."""
    try:
        found = file.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"


Container = onnx.GraphProto | onnx.FunctionProto


def tensors_of(graph: Container) -> Iterator[onnx.TensorProto]:
    """Every tensor stored in a graph: initializers and node attributes, subgraphs included."""
    return (tensor for tensor, _ in _stored(graph, True))


def _stored(graph: Container, outermost: bool) -> Iterator[tuple[onnx.TensorProto, bool]]:
    """Every stored tensor, and whether it is a weight of the outermost graph."""
    if isinstance(graph, onnx.GraphProto):
        yield from ((tensor, outermost) for tensor in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t, outermost and node.op_type == "Constant"
            yield from ((tensor, False) for tensor in attribute.tensors)
        for body in bodies_of(node):
            yield from _stored(body, False)


def _external(model: onnx.ModelProto) -> Iterator[tuple[onnx.TensorProto, bool]]:
    inside = (_stored(function, False) for function in model.functions)
    for tensor, weight in chain(_stored(model.graph, True), *inside):
        if is_external(tensor):
            yield tensor, weight


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's values are in another file."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def has_external(model: onnx.ModelProto) -> bool:
    """Whether some of a model's values are in files."""
    return any(True for _ in _external(model))


def places(model: onnx.ModelProto) -> list[Place]:
    """Where the values that are in other files are; `ModelError` for a model without `attach`."""
    found = [place_of(tensor) for tensor, _ in _external(model)]
    return [place for place in found if not place.state]


def place_of(tensor: onnx.TensorProto) -> Place:
    """Where the values of an external tensor are."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    if not said.keys() >= _SAID:
        raise ModelError(
            f"the weights '{tensor.name}' are in the file '{said.get('location', '')}', and the "
            f"ModelProto does not say in which folder; give the model's path instead"
        )
    file = Path(said["basepath"], said["location"])
    return Place(file, int(said["offset"]), int(said["length"]), said.get(_STATE, ""))


def attach(model: onnx.ModelProto, path: Path) -> bool:
    """Tell a model just read from `path` where its external data are, and read the small ones.

    What stays outside are the large weights of the main graph, initializers and `Constant` nodes.
    Returns whether there were any external data.
    Raises `ModelError` for a file that is missing, too short or outside the model's folder.
    """

    @cache
    def find(location: str) -> tuple[Path, int]:
        file = _file(location, path)
        return file, file.stat().st_size

    outside = list(_external(model))
    for tensor, weight in outside:
        try:
            place = _checked(tensor, find)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path}: where the weights '{tensor.name}' are said to be makes no sense "
                f"({one_line(error)}); export it again"
            ) from None
        if weight and math.prod(tensor.dims) > LARGEST_READ:
            _set(tensor, place.file.parent, place.file.name, place)
        else:
            _read(tensor, place)
    return bool(outside)


def _file(location: str, path: Path) -> Path:
    """The file at a model's location; links may lead out of its folder only if its own does."""
    lexical = PurePosixPath(location)
    if not location or lexical.is_absolute() or ".." in lexical.parts:
        raise ModelError(f"its weights are in '{location}', which is not inside its folder")
    file = (path.parent / location).resolve()
    folders = (path.parent.resolve(), path.resolve().parent)
    if not file.is_file():
        raise ModelError(
            f"its weights are in '{location}', which is missing; put that file beside the model"
        )
    if not any(file.is_relative_to(folder) for folder in folders):
        raise ModelError(
            f"its weights are in '{location}', a link to a file outside its folder; "
            f"put the file itself there"
        )
    return file


def _checked(tensor: onnx.TensorProto, find: Callable[[str], tuple[Path, int]]) -> Place:
    """Where a file says that a tensor's values are."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    file, size = find(location)
    length = size_in_bytes(tensor)
    place = Place(file, int(said.get("offset") or 0), int(said.get("length") or length))
    if place.offset < 0 or place.length != length:
        raise ModelError(
            f"the weights '{tensor.name}', {list(tensor.dims)}, take {length} bytes, but "
            f"{place.length} at {place.offset} in '{location}' are given; export it again"
        )
    if place.offset + length > size:
        raise ModelError(
            f"'{location}' is cut short: it has {size} bytes, and the weights '{tensor.name}' "
            f"end at {place.offset + length}; copy it again"
        )
    return place


def size_in_bytes(tensor: onnx.TensorProto) -> int:
    """How many bytes the values of a tensor's shape and type take."""
    bits = _BITS.get(tensor.data_type) or 8 * element_type(tensor).itemsize
    return -(-math.prod(tensor.dims) * bits // 8)


def element_type(tensor: onnx.TensorProto) -> np.dtype:
    """NumPy's type for a tensor's values; `ModelError` for one that onnx does not know."""
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, ValueError):
        raise ModelError(
            f"the weights '{tensor.name}' have the element type {tensor.data_type}, which "
            f"onnx {onnx.__version__} does not know; install a newer one"
        ) from None


def _set(tensor: onnx.TensorProto, folder: Path | None, location: str, place: Place) -> None:
    entries = {"location": location, "offset": place.offset, "length": place.length}
    del tensor.external_data[:]
    for key, value in (entries | ({"basepath": folder} if folder else {})).items():
        tensor.external_data.add(key=key, value=str(value))


def leave(tensor: onnx.TensorProto, place: Place) -> None:
    """Leave a weight in the model's own file, which has it at `place`."""
    _set(tensor, place.file.parent, place.file.name, place)
    tensor.external_data.add(key=_STATE, value=place.state)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")


def _read(tensor: onnx.TensorProto, place: Place) -> None:
    tensor.raw_data = place.read()
    tensor.ClearField("data_location")
    del tensor.external_data[:]


def values(tensor: onnx.TensorProto) -> np.ndarray:
    """Values of a stored tensor, wherever they are; those outside are read anew each time."""
    if not is_external(tensor):
        try:
            return onnx.numpy_helper.to_array(tensor)
        except ValueError as error:
            raise ModelError(
                f"the weights '{tensor.name}' are not in the model ({one_line(error)}); export it "
                f"with its weights"
            ) from None
    read = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims)
    read.raw_data = place_of(tensor).read()
    return onnx.numpy_helper.to_array(read)


def completed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, its external data read into it if one message can hold them."""
    outside = [(tensor, place_of(tensor)) for tensor, _ in _external(model)]
    length = sum(place.length for _, place in outside)
    if outside and length + model.ByteSize() <= LARGEST_MESSAGE:  # its size is a pass over it all
        for tensor, place in outside:
            _read(tensor, place)
    return model


def detached(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Path | None]:
    """A model as a file in the folder that comes with it would say it; itself without one."""
    outside = [place_of(tensor) for tensor, _ in _external(model)]
    if not outside:
        return model, None
    files = {place.file for place in outside if not place.state}
    if not files:
        return moved(model, {}), None
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return moved(model, {file: (file.relative_to(folder).as_posix(), 0) for file in files}), folder


def moved(model: onnx.ModelProto, to: Mapping[Path, tuple[str, int]]) -> onnx.ModelProto:
    """A copy whose external data are in other files: by file, its new location and offset there.

    What was left in the model's own file is read into it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor, _ in _external(copy):
        place = place_of(tensor)
        if place.state:
            _read(tensor, place)
        else:
            location, start = to[place.file]
            _set(tensor, None, location, replace(place, offset=start + place.offset))
    return copy
