"""Pictures, weights, and a builder of small ONNX graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper

Dims = Sequence[int | str | None]

CLASSES = 5
SIDE = 16


def weights(*shape: int, seed: int = 0, scale: float = 0.5) -> np.ndarray:
    """Random float32 weights; the same for the same seed."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def pictures(count: int = 1, side: int = SIDE, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A model-ready batch, float32 (count, channels, side, side)."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, channels, side, side)).astype(np.float32)


def photo(rows: int = 24, columns: int = 32, seed: int = 0) -> np.ndarray:
    """A picture of noise, uint8 RGB (rows, columns, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def write_picture(path: Path, picture: np.ndarray | None = None) -> Path:
    """An RGB picture as a file, whatever its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = photo() if picture is None else picture
    path.write_bytes(cv2.imencode(path.suffix, rgb[..., ::-1])[1].tobytes())
    return path


class Build:
    """Collects nodes and weights; `model()` closes the graph."""

    def __init__(
        self, shape: Dims = (1, 3, SIDE, SIDE), opset: int = 18, name: str = "image", dtype: int = 1
    ) -> None:
        self.opset = opset
        self.inputs = [helper.make_tensor_value_info(name, dtype, shape)]
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.functions: list[onnx.FunctionProto] = []

    def op(self, op: str, inputs: Sequence[str], output: str, name: str = "", **attrs: Any) -> str:
        """Add a node; returns its output."""
        node = helper.make_node(op, list(inputs), [output], name=name or f"{op}:{output}", **attrs)
        self.nodes.append(node)
        return output

    def weight(self, name: str, value: Any) -> str:
        """Store an initializer; returns its name."""
        self.stored.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def conv(self, x: str, output: str, shape: Sequence[int], **attrs: Any) -> str:
        """A convolution with random weights, seeded by its name."""
        seed = sum(map(ord, output))
        w = self.weight(f"{output}.weight", weights(*shape, seed=seed))
        b = self.weight(f"{output}.bias", weights(shape[0], seed=seed + 1, scale=0.1))
        side = shape[-1] // 2
        attrs.setdefault("pads", [side] * 4)
        return self.op("Conv", [x, w, b], output, **attrs)

    def linear(self, x: str, output: str, rows: int, columns: int) -> str:
        """x W^T + b with random weights."""
        seed = sum(map(ord, output))
        w = self.weight(f"{output}.weight", weights(columns, rows, seed=seed))
        b = self.weight(f"{output}.bias", weights(columns, seed=seed + 1))
        return self.op("Gemm", [x, w, b], output, transB=1)

    def output(self, name: str, shape: Dims | None, dtype: int = 1) -> None:
        """Declare a graph output."""
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def model(self) -> onnx.ModelProto:
        """The finished model, not checked."""
        graph = helper.make_graph(self.nodes, "tiny", self.inputs, self.outputs, self.stored)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tests")
