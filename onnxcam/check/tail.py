"""The part of a network between a tensor and its score, as a model of its own in real numbers.

Whatever in it does not depend on the tensor is fed as it was recorded, and quantised operators are
replaced by what they stand for: rounding is left out, saturation is kept. Finite differences are
taken here, because only here do they see what the straight-through gradient is the gradient of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from onnxcam.autodiff.lowering import Lowering
from onnxcam.autodiff.registry import derivative_of
from onnxcam.autodiff.rules.quantization import without_stand_ins
from onnxcam.autodiff.walk import Path, find_path, require_derivatives
from onnxcam.check.types import in_type
from onnxcam.graph.body import needed, node_proto, value_info
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network, constant, is_float, operands, with_tensors

_LARGEST_ARITHMETIC = 64


@dataclass(frozen=True)
class Tail:
    """Tensors keep their names: `start` is fed, `score` comes out, `boundary` is recorded.

    `dequantized` says that some nodes are not the model's own.
    """

    network: Network
    start: gs.Tensor
    score: gs.Tensor
    nodes: list[gs.Node]
    boundary: list[gs.Tensor]
    dequantized: bool

    def model(self, recorded: Mapping[str, np.ndarray]) -> onnx.ModelProto:
        """The tail for recorded values of `start` and of the boundary, floats in float32."""
        graph = onnx.GraphProto(name="tail", node=[node_proto(node) for node in self.nodes])
        for tensor in _read_from_outside(self.nodes).values():
            stored = constant(tensor)
            if isinstance(tensor, gs.Constant):
                graph.initializer.append(OnnxExporter.export_tensor_proto(tensor))
            elif stored is not None or _is_arithmetic(recorded[tensor.name]):
                value = recorded[tensor.name] if stored is None else stored
                graph.initializer.append(onnx.numpy_helper.from_array(value, tensor.name))
            else:
                graph.input.append(_declared(tensor.name, recorded[tensor.name]))
        out = gs.Variable(self.score.name, np.dtype(np.float32), list(self.score.shape))
        graph.output.append(value_info(out, out.name))
        model = onnx.ModelProto(ir_version=max(self.network.proto.ir_version, 8), graph=graph)
        model.opset_import.extend(self.network.proto.opset_import)
        return in_type(model, onnx.TensorProto.FLOAT)


def _is_arithmetic(value: np.ndarray) -> bool:
    """Whether it is a computed shape or the like, which others are inferred from."""
    return value.dtype.kind in "iu" and value.size <= _LARGEST_ARITHMETIC


def _declared(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    elem_type = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, elem_type, value.shape)


def tail_of(network: Network, start: str, score: str) -> Tail:
    """The nodes between two tensors, quantised ones replaced.

    Raises `UnsupportedOperatorError` where one of them has no derivative.
    """
    path = find_path(network.graph.nodes, [start], [score])
    e = Emitter(network)
    require_derivatives(e, path)
    nodes: list[gs.Node] = []
    for node in path.nodes:
        derivative = derivative_of(node)
        if not _is_quantized(node, path):
            nodes.append(node)
        elif isinstance(derivative, Lowering):
            nodes += without_stand_ins(derivative.body(e, node))
        else:
            before = len(e.nodes)
            real = _on_real_numbers(e, node, path)
            nodes += [*e.nodes[before:], real]
    if not is_float(network.tensors[score]):  # explained as if nothing in it was cut off
        nodes = [_uncut(node) if _makes(node, score) else node for node in nodes]
    nodes = needed(nodes, {score})
    read = _read_from_outside(nodes)
    return Tail(
        network,
        network.tensors[start],
        network.tensors[score],
        nodes,
        [t for name, t in read.items() if name != start and constant(t) is None],
        any(_is_quantized(node, path) for node in path.nodes),
    )


def _makes(node: gs.Node, name: str) -> bool:
    return any(t.name == name for t in node.outputs)


def _uncut(node: gs.Node) -> gs.Node:
    if node.op != "Clip":
        return node
    return gs.Node("Identity", node.name, inputs=[node.inputs[0]], outputs=list(node.outputs))


def _read_from_outside(nodes: list[gs.Node]) -> dict[str, gs.Tensor]:
    made = {t.name for node in nodes for t in node.outputs}
    read = (t for node in nodes for t in operands(node))
    return {t.name: t for t in read if t.name and t.name not in made}


def _is_quantized(node: gs.Node, path: Path) -> bool:
    on_path = (t for t in (*node.inputs, *node.outputs) if t.name in path.reached)
    return any(not is_float(t) for t in on_path)


def _on_real_numbers(e: Emitter, node: gs.Node, path: Path) -> gs.Node:
    """What moves integers moves the real numbers in place of them; a change of type is none.

    Another input of their type, what a `Pad` fills in, say, is a number of the same kind.
    """
    outputs = list(node.outputs)
    if node.op == "Cast":
        return gs.Node("Identity", node.name, inputs=list(node.inputs), outputs=outputs)
    types = {t.dtype for t in node.inputs if t.name in path.reached}
    inputs = [
        e.cast(t, np.float32) if t.name not in path.reached and t.dtype in types else t
        for t in node.inputs
    ]
    return with_tensors(node, inputs, outputs)
