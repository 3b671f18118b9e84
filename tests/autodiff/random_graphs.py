"""Random small networks from the table of derivatives.

A graph grows node by node. Each candidate is evaluated at once, in float64 by onnx's reference
evaluator; one that the evaluator refuses, that gets large or is not finite is not taken, nor one
at the end of what its operator is defined on: the slope of Acos at 1 is infinite, and behind
whatever is always 1 it would be infinity times 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from autodiff.numeric import graph_model
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnxcam.autodiff.registry import operators

LARGEST = 1e3
MOST_ELEMENTS = 96
BESIDE = 1e-6

Draw = Callable[["Graph", np.random.Generator], "Candidate"]


@dataclass(frozen=True)
class Candidate:
    """A node to try: operator, names of its inputs, attributes."""

    op: str
    inputs: list[str]
    attrs: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1


class Graph:
    """The graph so far, with the value of every tensor in float64."""

    def __init__(self, opset: int, inputs: dict[str, np.ndarray]) -> None:
        self.opset = opset
        self.inputs = inputs
        self.values: dict[str, np.ndarray] = dict(inputs)
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, np.ndarray] = {}

    @property
    def last(self) -> str:
        return [name for name in self.values if name not in self.stored][-1]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values[self.last].shape

    def keep(self, value: np.ndarray) -> str:
        """A stored tensor; floats become float32 in the file."""
        name = f"c{len(self.stored)}"
        self.stored[name] = self.values[name] = value
        return name

    def ints(self, *values: int) -> str:
        return self.keep(np.array(values, dtype=np.int64))

    def take(self, candidate: Candidate) -> bool:
        """Append a node if it can be evaluated to something tame."""
        names = [f"t{len(self.nodes)}_{k}" for k in range(candidate.outputs)]
        node = helper.make_node(candidate.op, candidate.inputs, names, **candidate.attrs)
        feeds = {name: self.values[name] for name in candidate.inputs if name}
        try:
            onnx.defs.get_schema(candidate.op, self.opset, "")  # the evaluator knows no opsets
            with np.errstate(all="ignore"):
                found = _evaluate(node, feeds, self.opset)
                beside = [_evaluate(node, _moved(feeds, h), self.opset) for h in (BESIDE, -BESIDE)]
        except Exception:  # whatever the evaluator says to a node that cannot be
            return False
        first = np.asarray(found[0])
        tame = first.dtype == np.float64 and 0 < first.size <= MOST_ELEMENTS and first.ndim <= 5
        if not tame or np.abs(first).max() > LARGEST:
            return False
        if not all(np.isfinite(values[0]).all() for values in (found, *beside)):
            return False
        self.nodes.append(node)
        for name, value in reversed(list(zip(names, found, strict=True))):
            if np.asarray(value).dtype == np.float64:
                self.values[name] = np.asarray(value)
        return True

    def model(self, dynamic: bool) -> onnx.ModelProto:
        """The graph in float32; `dynamic` leaves the first axis of its inputs open."""
        shapes: dict[str, list[int | str]] = {k: list(v.shape) for k, v in self.inputs.items()}
        if dynamic:
            shapes = {name: ["batch", *dims[1:]] for name, dims in shapes.items()}
        stored = {
            name: value.astype(np.float32) if value.dtype == np.float64 else value
            for name, value in self.stored.items()
        }
        return graph_model(self.nodes, shapes, [self.last], stored, self.opset)


def _moved(feeds: dict[str, np.ndarray], by: float) -> dict[str, np.ndarray]:
    return {k: v + by if v.dtype == np.float64 else v for k, v in feeds.items()}


def _evaluate(node: onnx.NodeProto, feeds: dict[str, np.ndarray], opset: int) -> list[np.ndarray]:
    inputs = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for k, v in feeds.items()
    ]
    outputs = [helper.make_tensor_value_info(k, onnx.TensorProto.DOUBLE, None) for k in node.output]
    graph = helper.make_graph([node], "one", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return ReferenceEvaluator(model).run(None, feeds)


# -- families -----------------------------------------------------------------------------------

UNARY = [
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "Cos", "Cosh", "Elu", "Erf",
    "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg",
    "Reciprocal", "Relu", "Selu", "Shrink", "Sigmoid", "Sin", "Sinh", "Softplus", "Softsign",
    "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "GlobalAveragePool", "GlobalMaxPool",
    "Flatten",
]  # fmt: skip
BINARY = ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean"]
REDUCTIONS = [
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
]  # fmt: skip


def unary(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate(str(rng.choice(UNARY)), [g.last])


def clip(g: Graph, rng: np.random.Generator) -> Candidate:
    low, high = sorted(rng.uniform(-1, 1, 2))
    return Candidate("Clip", [g.last, g.keep(np.array(low)), g.keep(np.array(high))])


def prelu(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate("PRelu", [g.last, g.keep(rng.uniform(0.1, 0.9, g.shape[-1:]))])


def binary(g: Graph, rng: np.random.Generator) -> Candidate:
    real = [name for name in g.values if g.values[name].dtype == np.float64]
    other = g.keep(rng.uniform(0.5, 2, g.shape[-1:])) if rng.random() < 0.4 else rng.choice(real)
    both = [g.last, str(other)]
    return Candidate(str(rng.choice(BINARY)), both[:: rng.choice([1, -1])])


def where(g: Graph, rng: np.random.Generator) -> Candidate:
    mask = g.keep(rng.random(g.shape) < 0.5)
    return Candidate("Where", [mask, g.last, g.keep(rng.uniform(-1, 1, g.shape))])


def reduction(g: Graph, rng: np.random.Generator) -> Candidate:
    op = str(rng.choice(REDUCTIONS))
    rank = len(g.shape)
    axes = rng.choice(rank, size=rng.integers(1, rank + 1), replace=False).tolist()
    keep = {"keepdims": int(rng.integers(0, 2))}
    if g.opset >= (13 if op == "ReduceSum" else 18):
        return Candidate(op, [g.last, g.ints(*axes)], keep)
    return Candidate(op, [g.last], keep | {"axes": axes})


def along_axis(g: Graph, rng: np.random.Generator) -> Candidate:
    op = str(rng.choice(["Softmax", "LogSoftmax", "LpNormalization"]))
    return Candidate(op, [g.last], {"axis": int(rng.integers(-len(g.shape), 0))})


def cumulative(g: Graph, rng: np.random.Generator) -> Candidate:
    attrs = {"exclusive": int(rng.integers(0, 2)), "reverse": int(rng.integers(0, 2))}
    axis = g.keep(np.array(rng.integers(0, len(g.shape)), dtype=np.int64))
    return Candidate("CumSum", [g.last, axis], attrs)


def transpose(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate("Transpose", [g.last], {"perm": rng.permutation(len(g.shape)).tolist()})


def reshape(g: Graph, rng: np.random.Generator) -> Candidate:
    size = int(np.prod(g.shape))
    first = int(rng.choice([d for d in range(1, size + 1) if size % d == 0]))
    rest = size // first
    second = int(rng.choice([d for d in range(1, rest + 1) if rest % d == 0]))
    return Candidate("Reshape", [g.last, g.ints(first, second, rest // second)])


def unsqueeze(g: Graph, rng: np.random.Generator) -> Candidate:
    axis = int(rng.integers(0, len(g.shape) + 1))
    if g.opset >= 13:
        return Candidate("Unsqueeze", [g.last, g.ints(axis)])
    return Candidate("Unsqueeze", [g.last], {"axes": [axis]})


def squeeze(g: Graph, rng: np.random.Generator) -> Candidate:
    axes = [axis for axis, size in enumerate(g.shape) if size == 1][:1]
    if g.opset >= 13:
        return Candidate("Squeeze", [g.last, g.ints(*axes)])
    return Candidate("Squeeze", [g.last], {"axes": axes})


def concat(g: Graph, rng: np.random.Generator) -> Candidate:
    alike = [name for name, v in g.values.items() if v.shape == g.shape and v.dtype == np.float64]
    axis = int(rng.integers(-len(g.shape), 0))
    return Candidate("Concat", [g.last, str(rng.choice(alike))], {"axis": axis})


def split(g: Graph, rng: np.random.Generator) -> Candidate:
    axis = int(rng.integers(0, len(g.shape)))
    first = max(1, g.shape[axis] // 2)
    sizes = [first, g.shape[axis] - first]
    if g.opset >= 13:
        return Candidate("Split", [g.last, g.ints(*sizes)], {"axis": axis}, 2)
    return Candidate("Split", [g.last], {"axis": axis, "split": sizes}, 2)


def slice_(g: Graph, rng: np.random.Generator) -> Candidate:
    axis = int(rng.integers(0, len(g.shape)))
    step = int(rng.choice([1, 2, -1]))
    start = g.shape[axis] if step < 0 else int(rng.integers(0, g.shape[axis]))
    stop = -99 if step < 0 else 99
    return Candidate("Slice", [g.last, *(g.ints(v) for v in (start, stop, axis, step))])


def pad(g: Graph, rng: np.random.Generator) -> Candidate:
    mode = str(rng.choice(["constant", "edge", "reflect"]))
    pads = rng.integers(0, 2, 2 * len(g.shape)).tolist()
    fill = [g.keep(np.array(0.5))] if mode == "constant" else []
    return Candidate("Pad", [g.last, g.ints(*pads), *fill], {"mode": mode})


def expand(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate("Expand", [g.last, g.ints(2, *(1 for _ in g.shape))])


def tile(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate("Tile", [g.last, g.ints(*rng.integers(1, 3, len(g.shape)).tolist())])


def gather(g: Graph, rng: np.random.Generator) -> Candidate:
    axis = int(rng.integers(0, len(g.shape)))
    index = g.keep(rng.integers(0, g.shape[axis], (2, 2)[: rng.integers(0, 3)]))
    return Candidate("Gather", [g.last, index], {"axis": axis})


def gather_elements(g: Graph, rng: np.random.Generator) -> Candidate:
    axis = int(rng.integers(0, len(g.shape)))
    return Candidate(
        "GatherElements", [g.last, g.keep(rng.integers(0, g.shape[axis], g.shape))], {"axis": axis}
    )


def scatter_elements(g: Graph, rng: np.random.Generator) -> Candidate:
    axis = int(rng.integers(0, len(g.shape)))
    once = np.argsort(rng.random(g.shape), axis=axis)
    inputs = [g.last, g.keep(once), g.keep(rng.uniform(-1, 1, g.shape))]
    adds = {"reduction": "add"} if g.opset >= 16 and rng.random() < 0.5 else {}
    return Candidate("ScatterElements", inputs, {"axis": axis} | adds)


def triangle(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate("Trilu", [g.last], {"upper": int(rng.integers(0, 2))})


def largest(g: Graph, rng: np.random.Generator) -> Candidate:
    axis = int(rng.integers(0, len(g.shape)))
    return Candidate("TopK", [g.last, g.ints(max(1, g.shape[axis] - 1))], {"axis": axis}, 2)


def matmul(g: Graph, rng: np.random.Generator) -> Candidate:
    weight = rng.uniform(-1, 1, (g.shape[-1], int(rng.integers(1, 4))))
    return Candidate("MatMul", [g.last, g.keep(weight)])


def product_with_itself(g: Graph, rng: np.random.Generator) -> Candidate:
    letters = "abcde"[: len(g.shape)]
    return Candidate("Einsum", [g.last, g.last], {"equation": f"{letters},{letters}->{letters[0]}"})


def gemm(g: Graph, rng: np.random.Generator) -> Candidate:
    weight, bias = rng.uniform(-1, 1, (3, g.shape[-1])), rng.uniform(-1, 1, 3)
    attrs = {"transB": 1, "alpha": 0.5, "beta": 2.0}
    return Candidate("Gemm", [g.last, g.keep(weight), g.keep(bias)], attrs)


def _window(g: Graph, rng: np.random.Generator) -> dict[str, Any]:
    rank = len(g.shape) - 2
    return {
        "kernel_shape": rng.integers(1, 4, rank).tolist(),
        "strides": rng.integers(1, 3, rank).tolist(),
        "pads": rng.integers(0, 2, 2 * rank).tolist(),
    }


def convolution(g: Graph, rng: np.random.Generator) -> Candidate:
    attrs = _window(g, rng)
    op = str(rng.choice(["Conv", "ConvTranspose"]))
    outer = (2, g.shape[1]) if op == "Conv" else (g.shape[1], 2)
    return Candidate(
        op, [g.last, g.keep(rng.uniform(-1, 1, (*outer, *attrs["kernel_shape"])))], attrs
    )


def pooling(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate(
        str(rng.choice(["MaxPool", "AveragePool", "LpPool"])), [g.last], _window(g, rng)
    )


def normalization(g: Graph, rng: np.random.Generator) -> Candidate:
    channels = g.shape[1]
    one, zero = (g.keep(rng.uniform(0.5, 1.5, channels)) for _ in range(2))
    if rng.random() < 0.5:
        return Candidate("InstanceNormalization", [g.last, one, zero], {"epsilon": 0.1})
    mean, variance = (g.keep(rng.uniform(0.5, 1.5, channels)) for _ in range(2))
    return Candidate("BatchNormalization", [g.last, one, zero, mean, variance])


def layer_normalization(g: Graph, rng: np.random.Generator) -> Candidate:
    scale, bias = (g.keep(rng.uniform(0.5, 1.5, g.shape[-1:])) for _ in range(2))
    return Candidate("LayerNormalization", [g.last, scale, bias], {"epsilon": 0.1})


def response(g: Graph, rng: np.random.Generator) -> Candidate:
    return Candidate("LRN", [g.last], {"size": 3, "alpha": 0.5})


def blocks(g: Graph, rng: np.random.Generator) -> Candidate:
    op = str(rng.choice(["DepthToSpace", "SpaceToDepth"]))
    return Candidate(op, [g.last], {"blocksize": int(rng.integers(1, 3))})


FAMILIES: dict[Draw, list[str]] = {
    unary: UNARY,
    clip: ["Clip"],
    prelu: ["PRelu"],
    binary: BINARY,
    where: ["Where"],
    reduction: REDUCTIONS,
    along_axis: ["Softmax", "LogSoftmax", "LpNormalization"],
    cumulative: ["CumSum"],
    transpose: ["Transpose"],
    reshape: ["Reshape"],
    unsqueeze: ["Unsqueeze"],
    squeeze: ["Squeeze"],
    concat: ["Concat"],
    split: ["Split"],
    slice_: ["Slice"],
    pad: ["Pad"],
    expand: ["Expand"],
    tile: ["Tile"],
    gather: ["Gather"],
    gather_elements: ["GatherElements"],
    scatter_elements: ["ScatterElements"],
    triangle: ["Trilu"],
    largest: ["TopK"],
    matmul: ["MatMul"],
    product_with_itself: ["Einsum"],
    gemm: ["Gemm"],
    convolution: ["Conv", "ConvTranspose"],
    pooling: ["MaxPool", "AveragePool", "LpPool"],
    normalization: ["InstanceNormalization", "BatchNormalization"],
    layer_normalization: ["LayerNormalization"],
    response: ["LRN"],
    blocks: ["DepthToSpace", "SpaceToDepth"],
}

NOT_DRAWN = {
    "control flow and recurrence: they have programs of their own": (
        "If Loop Scan LSTM GRU RNN LinearAttention CausalConvWithState"
    ),
    "made of integers, or rounding on the way": (
        "Cast CastLike QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv "
        "QLinearMatMul ConvInteger MatMulInteger Range OneHot Mod Unique Compress"
    ),
    "several operands whose shapes have to fit each other": (
        "Attention RotaryEmbedding SwiGLU DeformConv RoiAlign MaxRoiPool GridSample AffineGrid "
        "MaxUnpool Col2Im GatherND ScatterND TensorScatter ReverseSequence CenterCropPad "
        "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss GroupNormalization RMSNormalization "
        "SimplifiedLayerNormalization MeanVarianceNormalization Resize CumProd"
    ),
    "complex numbers or a determinant, which grow out of bounds": "DFT STFT Det",
    "the reference evaluator has none, or in one precision only": "GlobalLpPool",
    "the identity at inference": "Dropout",
}
"""Operators that no random graph holds, each tried by its own cases, and why."""


def drawn() -> set[str]:
    return {op for ops in FAMILIES.values() for op in ops}


def standard() -> set[str]:
    return {op for domain, op in operators() if not domain}


def random_graph(seed: int) -> Graph:
    """A graph of a few nodes behind one or two inputs, at a random opset."""
    rng = np.random.default_rng(seed)
    shape = [(2, 2, 4, 3), (1, 4, 2, 4), (2, 3), (3, 2, 3), (2, 4, 5)][rng.integers(0, 5)]
    inputs = {"x": rng.uniform(-1.5, 1.5, shape)}
    if rng.random() < 0.3:
        inputs["z"] = rng.uniform(0.5, 1.5, shape)
    g = Graph(int(rng.integers(11, 27)), inputs)
    families = list(FAMILIES)
    wanted = int(rng.integers(2, 9))
    for _ in range(60):
        if len(g.nodes) == wanted:
            break
        try:
            g.take(families[rng.integers(0, len(families))](g, rng))
        except (ValueError, IndexError):  # a family that cannot draw for this shape
            continue
    return g
