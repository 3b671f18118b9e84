"""A model cut at some tensors: what lies behind them, up to what was emitted, as one of its own.

What reaches the outputs around the cut, because a skip connection leads there or because a shape
is worked out from the picture's, becomes an input too: it crosses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from onnxcam.errors import ModelError
from onnxcam.graph.body import node_proto, value_info
from onnxcam.graph.dims import Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import OLDEST_IR_VERSION, emitted_constants, under_name
from onnxcam.graph.narrowing import narrow
from onnxcam.graph.network import operands, producer
from onnxcam.graph.quantized import quantization_of


@dataclass(frozen=True)
class Split:
    """The part of a model behind a cut.

    `model` holds that part, narrowed to the rows that are read (`onnxcam.graph.narrowing`), and the
    weights it needs, no others. `entrances` are its inputs in place of the tensors cut at:
    float32, whatever the model stores there, except for an input of the model itself. `crossing`
    are the tensors that reach it around the cut, by the names of its inputs. `largest` is how many
    elements its largest tensor has, one picture a batch (0 where no shape is known).
    """

    model: onnx.ModelProto
    entrances: tuple[str, ...]
    crossing: dict[str, gs.Tensor]
    largest: int


def split(
    e: Emitter,
    cut: Sequence[gs.Tensor],
    outputs: Mapping[str, gs.Tensor],
    inputs: Mapping[str, np.ndarray],
) -> Split:
    """The model between the tensors `cut` and some that `e` has emitted, under their new names.

    `inputs` gives the values of emitted inputs where they are left out. The batch of the entrances
    is open. Where the model fixes it to 1, reshapes are changed so that they follow; other nodes
    may not, so whoever runs several variants together compares.
    Raises `ModelError` when no output depends on the cut.
    """
    network = e.network
    named = [under_name(e, tensor, name) for name, tensor in outputs.items()]
    entrances, conversions = _entrances(e, cut)
    behind = _reached([*network.graph.nodes, *e.nodes], [tensor.name for tensor in cut])
    if behind.isdisjoint(outputs):
        raise ModelError(
            f"the target does not depend on '{cut[0].name}' (disconnected); "
            f"onnxcam layers lists the layers that it depends on"
        )
    read = {tensor.name for tensor in named}
    read.update(t.name for node in conversions for t in operands(node) if t.name)
    kept, crossing = _walked_back(e, behind, {tensor.name for tensor in cut}, read)
    made = [t for node in network.graph.nodes if id(node) in kept for t in node.outputs]
    model = _selected(e, kept, behind, read, conversions)
    graph = model.graph
    graph.input.extend(value_info(tensor, tensor.name) for tensor in entrances)
    graph.input.extend(_of_any_lengths(tensor, name) for name, tensor in crossing.items())
    for name, value in inputs.items():
        if name in read:
            given = gs.Variable(name, value.dtype, list(value.shape))
            graph.input.append(_of_any_lengths(given, name))
            graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    graph.output.extend(_of_any_lengths(tensor, tensor.name) for tensor in named)
    if cut[0].shape[0] == 1:
        _follow_the_batch(e, model, behind)
    shares = narrow(e, model)
    largest = max(_elements(tensor) * shares.get(tensor.name, 1) for tensor in [*cut, *made])
    return Split(model, tuple(tensor.name for tensor in entrances), crossing, int(largest))


def _selected(
    e: Emitter, kept: set[int], behind: set[str], read: set[str], conversions: list[gs.Node]
) -> onnx.ModelProto:
    """The nodes that are kept and the weights that are read, as a model without ends."""
    network = e.network
    sources = zip(network.proto.graph.node, network.graph.nodes, strict=True)
    own = [(proto, node) for proto, node in sources if id(node) in kept]
    emitted = [node for node in e.nodes if id(node) in kept]
    ir_version = max(network.proto.ir_version, OLDEST_IR_VERSION)
    model = onnx.ModelProto(ir_version=ir_version, functions=network.proto.functions)
    model.opset_import.extend(network.proto.opset_import)
    graph, stored = model.graph, network.proto.graph
    graph.name = "behind"
    graph.node.extend(proto for proto, node in own if not _is_behind(node, behind))
    graph.node.extend(node_proto(node) for node in conversions)
    graph.node.extend(proto for proto, node in own if _is_behind(node, behind))
    graph.node.extend(node_proto(node) for node in emitted)
    graph.initializer.extend(tensor for tensor in stored.initializer if tensor.name in read)
    graph.sparse_initializer.extend(t for t in stored.sparse_initializer if t.values.name in read)
    graph.initializer.extend(
        OnnxExporter.export_tensor_proto(value)
        for value in emitted_constants([*conversions, *emitted], network.tensors)
    )
    return model


def _entrances(e: Emitter, cut: Sequence[gs.Tensor]) -> tuple[list[gs.Variable], list[gs.Node]]:
    """The inputs in place of tensors, and the nodes that make of them what the model stores."""
    entrances: list[gs.Variable] = []
    before = len(e.nodes)
    for tensor in cut:
        shape: Shape = [None, *(d if isinstance(d, int) else None for d in tensor.shape[1:])]
        if producer(tensor) is None or tensor.dtype == np.dtype(np.float32):
            entrances.append(gs.Variable(tensor.name, tensor.dtype, shape))
            continue
        entrances.append(gs.Variable(e.name("variant"), np.dtype(np.float32), shape))
        quantization = quantization_of(tensor)
        if quantization is None:
            made = e.cast(entrances[-1], tensor.dtype)
        else:
            step = [given for given in quantization if given is not None]
            made = e.op("QuantizeLinear", entrances[-1], *step, shape=shape, dtype=tensor.dtype)
        made.name = tensor.name
    conversions = e.nodes[before:]
    del e.nodes[before:]
    return entrances, conversions


def _reached(nodes: Iterable[gs.Node], names: Iterable[str]) -> set[str]:
    """Those names, and the names of all tensors that are made of them."""
    found = set(names)
    for node in nodes:
        if any(tensor.name in found for tensor in operands(node)):
            found.update(tensor.name for tensor in node.outputs if tensor.name)
    return found


def _is_behind(node: gs.Node, behind: set[str]) -> bool:
    return any(tensor.name in behind for tensor in operands(node))


def _walked_back(
    e: Emitter, behind: set[str], cut: set[str], read: set[str]
) -> tuple[set[int], dict[str, gs.Tensor]]:
    """Ids of the nodes that make what is `read`, which grows by what they read, and what crosses.

    What depends on no picture is worked out behind the cut, again.
    """
    nodes = [*e.network.graph.nodes, *e.nodes]
    pictured = _reached(nodes, [tensor.name for tensor in e.network.inputs])
    kept: set[int] = set()
    crossing: dict[str, gs.Tensor] = {}
    for node in reversed(nodes):
        made = [t for t in node.outputs if t.name in read and t.name not in cut]
        if not made:
            continue
        if not _is_behind(node, behind) and any(t.name in pictured for t in made):
            crossing.update({tensor.name: tensor for tensor in made})
            continue
        kept.add(id(node))
        read.update(tensor.name for tensor in operands(node) if tensor.name)
    direct = {t.name: t for t in e.network.inputs if t.name in read and t.name not in cut}
    return kept, crossing | direct


def _of_any_lengths(tensor: gs.Tensor, name: str) -> onnx.ValueInfoProto:
    open_shape: Shape | None = None if tensor.shape is None else [None] * len(tensor.shape)
    return value_info(gs.Variable(name, tensor.dtype, open_shape), name)


def _follow_the_batch(e: Emitter, model: onnx.ModelProto, behind: set[str]) -> None:
    """Let reshapes to fixed lengths leave the outermost one, which the batch is part of, open."""
    tensors = e.network.tensors
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[0] not in behind:
            continue
        if node.output[0] not in tensors:  # an emitted one follows by itself
            continue
        lengths = e.network.value(tensors[node.input[1]])
        opened = _with_open_batch(lengths, tensors[node.input[0]], tensors[node.output[0]])
        if opened is None or any(attribute.name == "allowzero" for attribute in node.attribute):
            continue
        node.input[1] = e.name("open")
        value = onnx.numpy_helper.from_array(np.array(opened, np.int64), node.input[1])
        model.graph.initializer.append(value)


def _with_open_batch(lengths: np.ndarray | None, x: gs.Tensor, y: gs.Tensor) -> list[int] | None:
    """Lengths to reshape x to, so that the outermost one follows x; None where it cannot."""
    if lengths is None or not lengths.size or lengths[0] < 1 or not x.shape or not y.shape:
        return None
    inner = [int(length) for length in lengths[1:]]
    if -1 not in inner:
        return [-1, *inner]
    return [0, *inner] if x.shape[0] == y.shape[0] else None


def _elements(tensor: gs.Tensor) -> int:
    lengths = list(tensor.shape or [])
    return math.prod(d for d in lengths if isinstance(d, int)) if lengths else 0
