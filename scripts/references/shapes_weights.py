"""Read a shapes network of models/ back out of its file, for the framework that trained it.

The file holds the deployed weights, normalisations folded; the framework differentiates just those.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .rebuild import ROOT, constants


@dataclass
class Block:
    """Convolution (kernel OIHW), ReLU, and a max pooling of size `pool` (1: none)."""

    kernel: np.ndarray
    bias: np.ndarray
    stride: int
    pool: int = 1


@dataclass
class Shapes:
    """The blocks; then global average pooling and a dense layer, `dense` being (in, out)."""

    blocks: list[Block] = field(default_factory=list)
    dense: np.ndarray = field(default_factory=lambda: np.empty(0))
    dense_bias: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def watched(self) -> tuple[int, int, int]:
        """An early, a middle and the last block."""
        return 1, len(self.blocks) // 2, len(self.blocks) - 1


def read_shapes(path: str) -> Shapes:
    """Read the network at `path`, relative to the repository."""
    model = onnx.load(ROOT / path)
    values = {name: numpy_helper.to_array(tensor) for name, tensor in constants(model)}
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    network = Shapes()
    for node in model.graph.node:
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        arrays = [values[name] for name in node.input if name in values]
        if node.op_type == "Conv":
            kernel = arrays[0]
            bias = arrays[1] if len(arrays) > 1 else np.zeros(len(kernel), np.float32)
            network.blocks.append(Block(kernel, bias, attributes.get("strides", [1])[0]))
        elif node.op_type == "MaxPool":
            network.blocks[-1].pool = attributes["kernel_shape"][0]
        elif node.op_type == "BatchNormalization":
            _fold(network.blocks[-1], *arrays, epsilon=attributes.get("epsilon", 1e-5))
        elif node.op_type in ("Gemm", "MatMul"):
            network.dense = arrays[0].T if attributes.get("transB") else arrays[0]
            network.dense_bias = arrays[-1]
        elif node.op_type == "Add" and arrays:
            _add(network, arrays[0].ravel())
    return network


def _fold(
    block: Block,
    scale: np.ndarray,
    offset: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
) -> None:
    factor = scale / np.sqrt(variance + epsilon)
    block.kernel = block.kernel * factor[:, None, None, None]
    block.bias = (block.bias - mean) * factor + offset


def _add(network: Shapes, bias: np.ndarray) -> None:
    if network.dense.size:
        network.dense_bias = bias
    else:
        network.blocks[-1].bias = network.blocks[-1].bias + bias
