"""Putting emitted nodes into the model.

The original `ModelProto` is copied and added to; its nodes are never exported anew, so weights,
doc strings, node metadata and the order of everything survive untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from onnxcam.errors import ModelError
from onnxcam.graph.body import needed, node_proto, value_info
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import operands

OLDEST_IR_VERSION = 4
"""From this version of the format on, initializers need not be listed as inputs."""


def addition(
    e: Emitter,
    outputs: Mapping[str, gs.Tensor],
    inputs: Sequence[gs.Variable] = (),
    defaults: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """What `e` has emitted, as a `ModelProto` of its own that holds nothing of the model.

    `outputs` gives each new graph output's name and tensor, `inputs` are new graph inputs,
    `defaults` the values of those that may be left out (by name), `metadata` entries of
    `metadata_props`. Emitted nodes that no output needs are dropped.
    Raises `ModelError` when a new name is taken.
    """
    _require_free(e, [*outputs, *(tensor.name for tensor in inputs)])
    named = {under_name(e, tensor, name).name: tensor for name, tensor in outputs.items()}
    nodes = needed(e.nodes, set(named))
    added = onnx.ModelProto()
    added.ir_version = max(e.network.proto.ir_version, OLDEST_IR_VERSION)
    added.graph.node.extend(node_proto(node) for node in nodes)
    stored = emitted_constants(nodes, e.network.tensors)
    added.graph.initializer.extend(OnnxExporter.export_tensor_proto(value) for value in stored)
    # A runtime cannot see that the batch stays, and so that shapes behind this are equal.
    resized = [node.outputs[0] for node in nodes if node.op == "Resize"]
    added.graph.value_info.extend(value_info(t, t.name) for t in resized if t.name not in named)
    added.graph.input.extend(value_info(tensor, tensor.name) for tensor in inputs)
    added.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in (defaults or {}).items()
    )
    added.graph.output.extend(value_info(tensor, name) for name, tensor in outputs.items())
    for key, value in (metadata or {}).items():
        added.metadata_props.add(key=key, value=value)
    return added


def merge(
    e: Emitter,
    outputs: Mapping[str, gs.Tensor],
    inputs: Sequence[gs.Variable] = (),
    defaults: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """The model with the `addition` of the same arguments."""
    model = onnx.ModelProto()
    model.CopyFrom(e.network.proto)
    model.MergeFrom(addition(e, outputs, inputs, defaults, metadata))  # appends what is repeated
    return model


def _require_free(e: Emitter, names: list[str]) -> None:
    for name in names:
        if name in e.network.tensors:
            raise ModelError(
                f"the model already has a tensor named '{name}', which onnxcam adds; "
                f"give the model as it was before it was rewritten, or rename that tensor"
            )


def under_name(e: Emitter, tensor: gs.Tensor, name: str) -> gs.Tensor:
    """A tensor of that name: an emitted one renamed, any other copied."""
    made_here = tensor.inputs and any(tensor.inputs[0] is node for node in e.nodes)
    if not made_here or not tensor.name.startswith("onnxcam/"):
        tensor = e.op("Identity", tensor, shape=tensor.shape)
    tensor.name = name
    return tensor


def emitted_constants(nodes: list[gs.Node], known: Mapping[str, gs.Tensor]) -> list[gs.Constant]:
    """The emitted constants that the nodes use, each once."""
    found = {
        tensor.name: tensor
        for node in nodes
        for tensor in operands(node)
        if isinstance(tensor, gs.Constant) and tensor.name not in known
    }
    return list(found.values())
