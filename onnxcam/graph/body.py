"""The graphs inside control flow operators: entered, emitted into, and closed again.

A body sees every tensor that is made before its node. To be emitted behind, it is read as a
network of its own, in which what it reads from outside counts as an input; its own tensors get
new names first, because the original body stays in the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from onnxcam.graph.dims import Shape, is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network, operands, subgraphs
from onnxcam.graph.protos import bodies_of

_SMALL = 1024


def node_proto(node: gs.Node) -> onnx.NodeProto:
    """A node for the file; the constants of its bodies are stored with the model, not in them."""
    graphs = {key: value for key, value in node.attrs.items() if isinstance(value, gs.Graph)}
    if not graphs:
        return OnnxExporter.export_node(node)
    rest = {key: value for key, value in node.attrs.items() if key not in graphs}
    proto = onnx.helper.make_node(
        node.op,
        [t.name for t in node.inputs],
        [t.name for t in node.outputs],
        name=node.name,
        domain=node.domain,
    )
    proto.attribute.extend(OnnxExporter.export_attributes(rest))
    for key, graph in graphs.items():
        proto.attribute.add(name=key, type=onnx.AttributeProto.GRAPH, g=_graph_proto(graph))
    return proto


def _graph_proto(graph: gs.Graph) -> onnx.GraphProto:
    return onnx.GraphProto(
        name=graph.name or "body",
        node=[node_proto(node) for node in graph.nodes],
        input=[value_info(tensor, tensor.name) for tensor in graph.inputs],
        output=[value_info(tensor, tensor.name) for tensor in graph.outputs],
    )


def value_info(tensor: gs.Tensor, name: str) -> onnx.ValueInfoProto:
    """How a file declares a tensor."""
    if tensor.dtype is None:
        return onnx.helper.make_empty_tensor_value_info(name)
    elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    shape: Shape | None = None if tensor.shape is None else list(tensor.shape)
    return onnx.helper.make_tensor_value_info(name, elem_type, shape)


def enter(e: Emitter, graph: gs.Graph, formal: Sequence[gs.Tensor] = ()) -> Emitter:
    """An emitter behind a copy of a body, the copy's nodes emitted already.

    `formal` have the types and shapes of the body's inputs. The copy is `.network` of the result;
    its inputs and outputs are those of `.network.graph`, in the body's order.
    """
    proto = _graph_proto(graph)
    outside = _read_outside(graph)
    own = {name for name, tensor in outside.items() if _is_own(e, tensor)}
    names = {name: e.name("inside") for name in sorted(_made_inside(graph) | own)}
    for value, tensor in zip(proto.input, formal, strict=True):
        value.CopyFrom(value_info(tensor, value.name))
    inner = _renamed(proto, names)
    inputs = len(inner.input)
    for tensor in outside.values():
        name = names.get(tensor.name, tensor.name)
        if isinstance(tensor, gs.Constant) and (_is_small(tensor) or _is_new(e, tensor)):
            inner.initializer.add().CopyFrom(OnnxExporter.export_tensor_proto(tensor))
            inner.initializer[-1].name = name
        else:
            inner.input.append(value_info(tensor, name))
    model = onnx.ModelProto(ir_version=max(e.network.proto.ir_version, 4), graph=inner)
    model.opset_import.extend(e.network.proto.opset_import)
    if any(not value.HasField("type") for value in inner.output):
        model = onnx.shape_inference.infer_shapes(model)
    made = Emitter(Network(model), e)
    made.nodes.extend(made.network.graph.nodes)
    del made.network.graph.inputs[inputs:]
    return made


def _is_new(e: Emitter, tensor: gs.Tensor) -> bool:
    """Whether a stored tensor is none of the network around: the body's own, or emitted."""
    return isinstance(tensor, gs.Constant) and tensor.name not in e.network.tensors


def _is_own(e: Emitter, tensor: gs.Tensor) -> bool:
    return _is_new(e, tensor) and not tensor.name.startswith(f"{e.prefix}/")


def _is_small(tensor: gs.Tensor) -> bool:
    return is_static(tensor.shape) and int(np.prod(tensor.shape, dtype=np.int64)) <= _SMALL


def close(inner: Emitter, inputs: Sequence[gs.Tensor], outputs: Sequence[gs.Tensor]) -> gs.Graph:
    """What was emitted as a body: `inputs` in, `outputs` out, the rest dropped.

    An output that is not made inside, or is one already, is copied. No other is: ONNX Runtime
    loses track of tensors whose copies it removes behind its fusion of `Gemm` and `Transpose`.
    """
    own = {tensor.name for node in inner.nodes for tensor in node.outputs}
    results: list[gs.Tensor] = []
    for tensor in outputs:
        fresh = tensor.name in own
        results.append(tensor if fresh else inner.unary("Identity", tensor))
        own.discard(tensor.name)
    nodes = needed(inner.nodes, {tensor.name for tensor in results})
    return gs.Graph(nodes, list(inputs), results, name=inner.name("body"), opset=inner.opset)


def needed(nodes: Sequence[gs.Node], wanted: set[str]) -> list[gs.Node]:
    """Those of the nodes that the tensors of these names depend on."""
    kept: list[gs.Node] = []
    found = set(wanted)
    for node in reversed(nodes):
        if any(tensor.name in found for tensor in node.outputs):
            kept.append(node)
            found.update(tensor.name for tensor in operands(node) if tensor.name)
    return kept[::-1]


def _made_inside(graph: gs.Graph) -> set[str]:
    names = {tensor.name for tensor in graph.inputs}
    for node in graph.nodes:
        names.update(tensor.name for tensor in node.outputs if tensor.name)
        for nested in subgraphs(node):
            names |= _made_inside(nested)
    return names


def _read_outside(graph: gs.Graph) -> dict[str, gs.Tensor]:
    """Tensors that a body reads but does not make, its own weights among them."""
    made = {tensor.name for tensor in graph.inputs}
    made.update(tensor.name for node in graph.nodes for tensor in node.outputs)
    read = [tensor for node in graph.nodes for tensor in operands(node)] + list(graph.outputs)
    return {tensor.name: tensor for tensor in read if tensor.name and tensor.name not in made}


def _renamed(graph: onnx.GraphProto, names: Mapping[str, str]) -> onnx.GraphProto:
    renamed = onnx.GraphProto()
    renamed.CopyFrom(graph)
    for value in (*renamed.input, *renamed.output):
        value.name = names.get(value.name, value.name)
    for node in renamed.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for body in bodies_of(node):
            body.CopyFrom(_renamed(body, names))
    return renamed
