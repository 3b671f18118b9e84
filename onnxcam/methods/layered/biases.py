"""The biases of a network: what its layers add that does not depend on the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.autodiff.rules.normalization import per_channel
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network, given, is_float
from onnxcam.graph.protos import STANDARD

_THIRD_INPUT = {
    "Conv", "ConvTranspose", "InstanceNormalization", "GroupNormalization", "LayerNormalization",
}  # fmt: skip
"""Layers whose third input is a bias; a channel's but for the last, which has it per element."""


@dataclass(frozen=True)
class Bias:
    """What is added to `tensor`; `value(e)` emits it, to be broadcast against the tensor."""

    tensor: gs.Tensor
    value: Callable[[Emitter], gs.Tensor]


def find_biases(network: Network) -> Iterator[Bias]:
    """Every bias stated in the graph, folded normalisations included, in file order.

    Those of convolutions, linear and normalising layers, stored vectors and planes that are added
    or subtracted, and of a batch normalisation bias - mean scale / sqrt(variance + epsilon).
    Single numbers that are added belong to an activation function's formula, say HardSwish's.
    """
    for node in network.graph.nodes:
        if node.domain in (None, *STANDARD) and node.outputs and _varies(network, node.outputs[0]):
            found = _bias(network, node)
            if found is not None:
                yield Bias(node.outputs[0], found)


def _varies(network: Network, tensor: gs.Tensor) -> bool:
    return tensor.name in network.varying and tensor.shape is not None and is_float(tensor)


def _bias(network: Network, node: gs.Node) -> Callable[[Emitter], gs.Tensor] | None:
    rank = len(node.outputs[0].shape)
    third = given(node, 2)
    if node.op in _THIRD_INPUT and third is not None:
        whole = node.op == "LayerNormalization"
        return lambda e: third if whole else per_channel(e, third, rank)
    if node.op == "Gemm" and third is not None:
        return lambda e: e.mul(third, node.attrs.get("beta", 1.0))
    if node.op == "BatchNormalization":
        return lambda e: _of_batch_normalization(e, node, rank)
    if node.op in ("Add", "Sub"):
        return _of_sum(network, node)
    return None


def _of_batch_normalization(e: Emitter, node: gs.Node, rank: int) -> gs.Tensor:
    scale, bias, mean, variance = node.inputs[1:5]
    deviation = e.unary("Sqrt", e.add(variance, node.attrs.get("epsilon", 1e-5)))
    return per_channel(e, e.sub(bias, e.div(e.mul(mean, scale), deviation)), rank)


def _of_sum(network: Network, node: gs.Node) -> Callable[[Emitter], gs.Tensor] | None:
    fixed = [k for k, t in enumerate(node.inputs) if t.name not in network.varying]
    if len(fixed) != 1 or not is_float(node.inputs[fixed[0]]):
        return None
    value = node.inputs[fixed[0]]
    if value.shape is None or all(dim == 1 for dim in value.shape):
        return None
    subtracted = node.op == "Sub" and fixed == [1]
    return lambda e: e.unary("Neg", value) if subtracted else value
