"""Where a model's nodes run: ONNX Runtime's own record of a run."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnxcam.errors import ExecutionError
from onnxcam.graph.load import ModelSource, load
from onnxcam.providers import CPU, Providers, short_name
from onnxcam.runtime import Arrays, Runner

PREFIX = "onnxcam/"
"""What the names of emitted nodes start with."""

_KERNEL = "_kernel_time"


@dataclass(frozen=True)
class Node:
    """A node as it was run: after ONNX Runtime's optimisations, which fuse some and add others."""

    name: str
    op: str
    provider: str
    seconds: float

    @property
    def is_emitted(self) -> bool:
        """Whether it is on the heat's path: emitted here, not the model's own."""
        return self.name.startswith(PREFIX)


@dataclass(frozen=True)
class Placement:
    """Where the nodes of one run were, in the order that they ran.

    `provider` is the one that the session started on, by ONNX Runtime's name.
    """

    provider: str
    nodes: tuple[Node, ...]

    @property
    def heat(self) -> tuple[Node, ...]:
        """The nodes that make the heatmap."""
        return tuple(node for node in self.nodes if node.is_emitted)

    @property
    def model(self) -> tuple[Node, ...]:
        """The nodes of the model itself."""
        return tuple(node for node in self.nodes if not node.is_emitted)

    @property
    def fallen_back(self) -> tuple[Node, ...]:
        """Nodes that the CPU ran for a device that lacks them, or leaves them to it."""
        if self.provider == CPU:
            return ()
        return tuple(node for node in self.nodes if node.provider == CPU)

    def __str__(self) -> str:
        lines = []
        for name, nodes in (("model", self.model), ("heat", self.heat)):
            where = counted(node.provider for node in nodes)
            each = ", ".join(f"{count} on {short_name(p)}" for p, count in where.items())
            lines.append(f"{name}: {each or 'no nodes'}")
        fallen = counted(node.op for node in self.fallen_back)
        if fallen:
            each = ", ".join(f"{op} ({count})" for op, count in fallen.items())
            lines.append(f"on the CPU instead of {short_name(self.provider)}: {each}")
        return "\n".join(lines)


def placement(
    model: ModelSource, providers: Providers = None, feeds: Arrays | None = None
) -> Placement:
    """Run a model, rewritten or not, once, and tell where each of its nodes was run.

    `feeds` are its inputs by name; left out, they are zeros, with 1 where a batch is left open
    and 224 where a picture's size is. Nodes that ONNX Runtime gives to a device as one (TensorRT,
    OpenVINO) count as one. Raises `ExecutionError`.
    """
    proto = load(model)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(proto, providers, profile=str(Path(folder) / "run"))
        runner.run(feeds if feeds is not None else zeros(proto))
        record = json.loads(runner.profiled().read_text())
    return Placement(runner.provider, tuple(_nodes(record)))


def zeros(model: onnx.ModelProto) -> Arrays:
    """Something to feed a model: its inputs, but for those that may be left out, full of zeros."""
    given = {tensor.name for tensor in model.graph.initializer}
    return {
        value.name: _zeros(value.name, value.type.tensor_type)
        for value in model.graph.input
        if value.name not in given
    }


def _zeros(name: str, kind: Any) -> np.ndarray:
    if not kind.HasField("shape"):
        raise ExecutionError(f"the shape of input '{name}' is open; give the model's feeds")
    dims = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim]
    open_size = 224 if len(dims) == 4 else 1
    shape = [max(dims[0], 1), *(dim if dim > 0 else open_size for dim in dims[1:])] if dims else []
    return np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))


def _nodes(record: Iterable[Mapping[str, Any]]) -> Iterable[Node]:
    for event in record:
        told = event.get("args", {})
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL) and "provider" in told:
            name = event["name"].removesuffix(_KERNEL)
            yield Node(name, told.get("op_name", ""), told["provider"], event["dur"] * 1e-6)


def counted(names: Iterable[str]) -> dict[str, int]:
    """How often each is there, the most frequent first."""
    return dict(Counter(names).most_common())
