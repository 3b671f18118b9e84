"""ONNX's own backend tests, as the onnx package ships them: models with inputs and outputs.

The tests of single operators are made by importing one module per operator; the converted PyTorch
models and a few others lie beside them as files.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import onnx.backend.test.case.node as node_tests
from onnx import helper, numpy_helper

FOLDERS = ("simple", "pytorch-operator", "pytorch-converted")
MODULES = tuple(sorted(m.name for m in pkgutil.iter_modules(node_tests.__path__)))
_DATA = Path(onnx.backend.test.__file__).parent / "data"
_NEWEST_WITH_ALL = 26


@dataclass(frozen=True, eq=False)
class BackendTest:
    """A model of tensors only, what it is fed, and what it ought to give."""

    name: str
    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


GROUPS = (*MODULES, *FOLDERS)


@cache
def cases_of(group: str) -> tuple[BackendTest, ...]:
    """The tests of one operator's module, or of one folder."""
    return tuple(_in_folder(group) if group in FOLDERS else _in_module(group))


def _in_module(module: str) -> list[BackendTest]:
    before = len(node_tests._NodeTestCases)
    with np.errstate(all="ignore"):
        importlib.import_module(f"{node_tests.__name__}.{module}")
    made = node_tests._NodeTestCases[before:]
    return [_of_tensors(t.name, t.model, *map(list, t.data_sets[0])) for t in made]


def _in_folder(folder: str) -> list[BackendTest]:
    found = []
    for path in sorted((_DATA / folder).glob("*/model.onnx")):
        model = onnx.load(path)
        stored = {tensor.name for tensor in model.graph.initializer}
        fed = [value for value in model.graph.input if value.name not in stored]
        data = path.parent / "test_data_set_0"
        inputs = [_read(data / f"input_{k}.pb", v.type) for k, v in enumerate(fed)]
        outputs = [_read(data / f"output_{k}.pb", v.type) for k, v in enumerate(model.graph.output)]
        found.append(_of_tensors(path.parent.name, model, inputs, outputs))
    return found


def _read(file: Path, kind: onnx.TypeProto) -> Any:
    if kind.HasField("sequence_type"):
        sequence = onnx.SequenceProto()
        sequence.ParseFromString(file.read_bytes())
        return numpy_helper.to_list(sequence)
    return numpy_helper.to_array(onnx.load_tensor(file))


# -- sequences and optionals ------------------------------------------------------------------


def _of_tensors(
    name: str, given: onnx.ModelProto, inputs: Sequence[Any], outputs: Sequence[Any]
) -> BackendTest:
    """The test with its sequences and optionals put together, and taken apart, in the model.

    A sequence that is fed becomes one input per element and a `SequenceConstruct`, one that comes
    out a `SequenceAt` per element. A model that imports only another domain gets the standard one
    too, as does one that needs it for these operators.
    """
    model = onnx.ModelProto()
    model.CopyFrom(given)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    before: list[onnx.NodeProto] = []
    behind: list[onnx.NodeProto] = []
    feeds: dict[str, np.ndarray] = {}
    results: dict[str, np.ndarray] = {}
    fed = [value for value in graph.input if value.name not in stored]
    kept_in = [value for value in graph.input if value.name in stored]
    kept_out = []
    for value, data in zip(fed, inputs, strict=True):
        kept_in += _taken_in(value, data, before, feeds)
    for value, data in zip(list(graph.output), outputs, strict=True):
        kept_out += _taken_out(value, data, behind, results)
    nodes = [*before, *graph.node, *behind]
    for kept, field in ((kept_in, graph.input), (kept_out, graph.output), (nodes, graph.node)):
        copies = [type(entry)() for entry in kept]
        for copy, entry in zip(copies, kept, strict=True):
            copy.CopyFrom(entry)
        del field[:]
        field.extend(copies)
    if not any(opset.domain in ("", "ai.onnx") for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", _NEWEST_WITH_ALL))
    return BackendTest(name, model, feeds, results)


def _taken_in(
    value: onnx.ValueInfoProto,
    data: Any,
    nodes: list[onnx.NodeProto],
    feeds: dict[str, np.ndarray],
) -> list[onnx.ValueInfoProto]:
    """The tensor inputs that stand for one input."""
    kind, made = value.type, value.name
    if kind.HasField("optional_type"):
        kind = kind.optional_type.elem_type
        if data is None:
            node = helper.make_node("Optional", [], [made])
            node.attribute.append(helper.make_attribute("type", kind))
            nodes.append(node)
            return []
        made = f"{value.name}_present"
        nodes.append(helper.make_node("Optional", [made], [value.name]))
    if not kind.HasField("sequence_type"):
        feeds[made] = _array(data)
        return [helper.make_value_info(made, _typed(kind, feeds[made]))]
    names = [f"{value.name}_{k}" for k in range(len(data))]
    if names:
        node = helper.make_node("SequenceConstruct", names, [made])
    else:
        elem_type = kind.sequence_type.elem_type.tensor_type.elem_type
        node = helper.make_node("SequenceEmpty", [], [made], dtype=elem_type)
    nodes.insert(0, node)
    feeds.update(zip(names, map(_array, data), strict=True))
    element = kind.sequence_type.elem_type
    return [helper.make_value_info(name, _typed(element, feeds[name])) for name in names]


def _taken_out(
    value: onnx.ValueInfoProto,
    data: Any,
    nodes: list[onnx.NodeProto],
    results: dict[str, np.ndarray],
) -> list[onnx.ValueInfoProto]:
    """The tensor outputs that stand for one output."""
    kind, made = value.type, value.name
    if kind.HasField("optional_type"):
        kind = kind.optional_type.elem_type
        made = f"{value.name}_element"
        nodes.append(helper.make_node("OptionalGetElement", [value.name], [made]))
    if not kind.HasField("sequence_type"):
        results[made] = _array(data)
        return [helper.make_value_info(made, kind)]
    found = []
    for k, part in enumerate(data):
        index = numpy_helper.from_array(np.array(k, np.int64))
        name = f"{value.name}_{k}"
        nodes.append(helper.make_node("Constant", [], [f"{name}_index"], value=index))
        nodes.append(helper.make_node("SequenceAt", [made, f"{name}_index"], [name]))
        results[name] = _array(part)
        found.append(helper.make_value_info(name, _typed(kind.sequence_type.elem_type, part)))
    return found


def _array(data: Any) -> np.ndarray:
    return numpy_helper.to_array(data) if isinstance(data, onnx.TensorProto) else np.asarray(data)


def _typed(kind: onnx.TypeProto, data: np.ndarray) -> onnx.TypeProto:
    """A tensor type with its shape, which sequences leave out."""
    return helper.make_tensor_type_proto(kind.tensor_type.elem_type, np.shape(data))
