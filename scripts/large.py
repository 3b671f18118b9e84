"""What large models cost: weights beyond 2 GB, and graphs of many nodes.

The weights are a sparse file, zeros that take no disk. Each number is a process of its own, whose
peak memory it gives.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/large.py [GIGABYTES [NODES ...]]
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import onnxcam
from onnxcam.graph.network import Network

SIDE, CLASSES, BATCH = 16, 5, 1
LAYERS = 8


class Graph:
    """Collects nodes between the input `image` and the output `logits`."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []

    def op(self, op: str, inputs: list[str], output: str, **attrs: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attrs))
        return output

    def weight(self, name: str, *shape: int) -> str:
        values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        self.stored.append(numpy_helper.from_array(values, name))
        return name

    def stem(self, channels: int) -> str:
        """The first convolution, halving the picture."""
        w = self.weight("stem.weight", channels, 3, 3, 3)
        return self.op("Conv", ["image", w], "stem", strides=[2, 2], pads=[1, 1, 1, 1])

    def model(self, features: str, channels: int) -> onnx.ModelProto:
        """The finished model: the features pooled, and a linear layer."""
        self.op("GlobalAveragePool", [features], "pooled")
        self.op("Flatten", ["pooled"], "flat")
        self.op("MatMul", ["flat", self.weight("head.weight", channels, CLASSES)], "logits")
        image = helper.make_tensor_value_info("image", 1, [BATCH, 3, SIDE, SIDE])
        logits = helper.make_tensor_value_info("logits", 1, [BATCH, CLASSES])
        graph = helper.make_graph(self.nodes, "large", [image], [logits], self.stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def chain(nodes: int) -> onnx.ModelProto:
    """One activation after the other."""
    graph = Graph()
    last = graph.stem(8)
    for k in range(nodes):
        last = graph.op("Sigmoid" if k % 2 else "Relu", [last], f"x{k}")
    return graph.model(last, 8)


def wide(nodes: int) -> onnx.ModelProto:
    """One tensor read by half of the nodes, whose outputs the other half adds up."""
    graph = Graph()
    stem = graph.stem(8)
    parts = [graph.op("Relu", [stem], f"x{k}") for k in range(nodes // 2)]
    total = parts[0]
    for k, part in enumerate(parts[1:]):
        total = graph.op("Add", [total, part], f"sum{k}")
    return graph.model(total, 8)


def joined(nodes: int) -> onnx.ModelProto:
    """As DenseNet does it: every output is a part of one concatenation."""
    graph = Graph()
    parts = [graph.stem(1)]
    for k in range(nodes):
        parts.append(graph.op("Relu", [parts[-1]], f"x{k}"))
    return graph.model(graph.op("Concat", parts, "joined", axis=1), nodes + 1)


def nested(nodes: int) -> onnx.ModelProto:
    """Blocks behind each other, each an `If` with an `If` inside."""
    graph = Graph()
    graph.stored.append(numpy_helper.from_array(np.array(True), "yes"))
    last = graph.stem(8)
    for k in range(nodes // 4):
        inner = _branches(helper.make_node("Relu", [last], [f"x{k}_2"]))
        outer = _branches(helper.make_node("If", ["yes"], [f"x{k}_1"], **inner))
        last = graph.op("If", ["yes"], f"x{k}", **outer)
    last = graph.op("Conv", [last, graph.weight("last.weight", 8, 8, 1, 1)], "last")
    return graph.model(last, 8)


def _branches(node: onnx.NodeProto) -> dict[str, onnx.GraphProto]:
    """Both branches of an `If`, the same node each."""
    name = node.output[0]
    made = helper.make_tensor_value_info(name, 1, [BATCH, 8, SIDE // 2, SIDE // 2])
    body = helper.make_graph([node], name, [], [made])
    return {"then_branch": body, "else_branch": body}


SHAPES: tuple[Callable[[int], onnx.ModelProto], ...] = (chain, wide, joined, nested)


def sparse_model(folder: Path, size: float) -> Path:
    """A network whose weights are `size` bytes of a sparse file beside it."""
    graph = Graph()
    graph.op("Flatten", [graph.stem(8)], "all")
    graph.stored.append(numpy_helper.from_array(np.array([1]), "axis"))
    rows = 8 * (SIDE // 2) ** 2
    columns = int(size / LAYERS / (4 * rows))
    length = 4 * rows * columns
    for k in range(LAYERS):
        weight = onnx.TensorProto(name=f"w{k}", data_type=TensorProto.FLOAT, dims=[rows, columns])
        weight.data_location = TensorProto.EXTERNAL
        for key, value in {"location": "w.bin", "offset": k * length, "length": length}.items():
            weight.external_data.add(key=key, value=str(value))
        graph.stored.append(weight)
        graph.op("MatMul", ["all", f"w{k}"], f"product{k}")
        graph.op("ReduceMean", [f"product{k}", "axis"], f"mean{k}")
    graph.op("Sum", ["stem", *(f"mean{k}" for k in range(LAYERS))], "sum")
    with (folder / "w.bin").open("wb") as data:
        data.truncate(LAYERS * length)
    model = graph.model(graph.op("Relu", ["sum"], "features"), 8)
    onnx.save(model, str(folder / "large.onnx"))
    return folder / "large.onnx"


def _rewrite_beside(path: Path) -> None:
    onnxcam.save_model(onnxcam.rewrite(path), path.with_name("explained.onnx"))


def _rewrite_elsewhere(path: Path) -> None:
    onnxcam.save_model(onnxcam.rewrite(path), path.parent / "elsewhere" / "explained.onnx")


def _explain(path: Path) -> None:
    picture = np.zeros((BATCH, 3, SIDE, SIDE), np.float32)
    onnxcam.Explainer(path, preprocess="raw").run(picture)


def _gradient(model: onnx.ModelProto) -> None:
    onnxcam.append_gradients(model, "logits", ["image"])


FILE_TASKS = (Network, _rewrite_beside, _rewrite_elsewhere, _explain)
GRAPH_TASKS = (Network, onnxcam.find_layers, _gradient, onnxcam.rewrite)


def timed(task: Callable[[Any], object], make: Callable[[Any], Any], what: Any) -> str:
    """Seconds that the task takes with what is made, and the peak memory, in words."""
    made = make(what)
    start = time.perf_counter()
    task(made)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return f"{seconds:.2f} s {memory:>5} MB"


def apart(*arguments: Any) -> str:
    """`timed` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return str(pool.apply(timed, arguments))


def main(gigabytes: float, counts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = sparse_model(Path(folder), gigabytes * 1e9)
        print(f"weights of {gigabytes} GB")
        for task in FILE_TASKS:
            print(f"{task.__name__.strip('_'):<18}{apart(task, Path, path):>18}", flush=True)
    print(f"{'':<18}" + "".join(f"{task.__name__.strip('_'):>18}" for task in GRAPH_TASKS))
    for count in counts:
        for build in SHAPES:
            row = (f"{apart(task, build, count):>18}" for task in GRAPH_TASKS)
            print(f"{build.__name__:<10}{count:>8}" + "".join(row), flush=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(float(given[0]) if given else 3.0, [int(count) for count in given[1:]] or [1000, 10000])
