"""Random small graphs: the emitted gradient agrees with finite differences."""

import numpy as np
import onnx
from autodiff.numeric import assert_close, difference_gradient, graph_model, session_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnxcam.gradients import append_gradients

Shape = tuple[int, ...]
Tensors = dict[str, Shape]

SMOOTH = ["Tanh", "Sigmoid", "Softplus", "Sin", "Cos", "Neg", "Softsign", "Atan"]
REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceLogSumExp"]


class Graph:
    """A graph that grows by one node at a time; all its tensors stay small."""

    def __init__(self, shape: Shape) -> None:
        self.shapes: Tensors = {"x": shape}
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, np.ndarray] = {}

    def add(self, op: str, inputs: list[str], shape: Shape, **attrs: object) -> None:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attrs))
        self.shapes[name] = shape

    def keep(self, value: np.ndarray) -> str:
        name = f"c{len(self.stored)}"
        self.stored[name] = value
        return name

    def ints(self, *values: int) -> str:
        return self.keep(np.array(values, dtype=np.int64))

    @property
    def last(self) -> str:
        return list(self.shapes)[-1]


def grow(draw: st.DrawFn, g: Graph) -> None:
    """One more node, behind the newest tensor and perhaps an older one."""
    x = g.last
    shape = g.shapes[x]
    kinds = ["smooth", "binary", "softmax", "transpose", "flatten", "slice", "pad", "concat"]
    kinds += ["reduce", "matmul", "unsqueeze", "split"] if len(shape) > 1 else []
    kind = draw(st.sampled_from(kinds))
    axis = draw(st.integers(-len(shape), -1))
    if kind == "smooth":
        g.add(draw(st.sampled_from(SMOOTH)), [x], shape)
    elif kind == "binary":
        fits = [t for t, s in g.shapes.items() if _broadcasts(s, shape)]
        other = draw(st.sampled_from(fits))
        both = np.broadcast_shapes(shape, g.shapes[other])
        g.add(draw(st.sampled_from(["Add", "Sub", "Mul"])), [x, other], both)
    elif kind == "softmax":
        g.add("Softmax", [x], shape, axis=axis)
    elif kind == "transpose":
        perm = draw(st.permutations(range(len(shape))))
        g.add("Transpose", [x], tuple(shape[k] for k in perm), perm=list(perm))
    elif kind == "flatten":
        g.add("Reshape", [x, g.ints(-1, shape[-1])], (int(np.prod(shape[:-1])), shape[-1]))
    elif kind == "slice":
        start = draw(st.integers(0, shape[axis] - 1))
        step = draw(st.integers(1, 2))
        cut = len(range(start, shape[axis], step))
        inputs = [g.ints(start), g.ints(99), g.ints(axis), g.ints(step)]
        g.add("Slice", [x, *inputs], _with(shape, axis, cut))
    elif kind == "pad":
        before, after = draw(st.integers(0, 2)), draw(st.integers(0, 1))
        pads = g.ints(before, after)
        fill = g.keep(np.array(0.5, dtype=np.float32))
        longer = shape[axis] + before + after
        g.add("Pad", [x, pads, fill, g.ints(axis)], _with(shape, axis, longer))
    elif kind == "concat":
        if int(np.prod(shape)) <= 24:
            g.add("Concat", [x, x], _with(shape, axis, 2 * shape[axis]), axis=axis)
    elif kind == "reduce":
        keep = draw(st.booleans())
        short = _with(shape, axis, 1)
        left = short if keep else tuple(np.delete(shape, axis).tolist())
        op = draw(st.sampled_from(REDUCTIONS))
        g.add(op, [x, g.ints(axis)], left, keepdims=int(keep))
    elif kind == "matmul":
        wide = draw(st.integers(1, 3))
        weight = np.linspace(-1, 1, shape[-1] * wide).reshape(shape[-1], wide)
        g.add("MatMul", [x, g.keep(weight.astype(np.float32))], (*shape[:-1], wide))
    elif kind == "unsqueeze" and len(shape) < 4:
        at = axis % len(shape)
        g.add("Unsqueeze", [x, g.ints(at)], (*shape[:at], 1, *shape[at:]))
    elif kind == "split" and shape[axis] > 1:
        first = shape[axis] // 2
        name = f"t{len(g.nodes)}"
        sizes = g.ints(first, shape[axis] - first)
        g.nodes.append(helper.make_node("Split", [x, sizes], [f"{name}a", name], axis=axis))
        g.shapes[f"{name}a"] = _with(shape, axis, first)
        g.shapes[name] = _with(shape, axis, shape[axis] - first)


def _broadcasts(a: Shape, b: Shape) -> bool:
    try:
        return int(np.prod(np.broadcast_shapes(a, b))) <= 48
    except ValueError:
        return False


def _with(shape: Shape, axis: int, size: int) -> Shape:
    sizes = list(shape)
    sizes[axis] = size
    return tuple(sizes)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    g = Graph(tuple(draw(st.lists(st.integers(1, 3), min_size=2, max_size=3))))
    for _ in range(draw(st.integers(2, 8))):
        grow(draw, g)
    g.add("Tanh", [g.last], g.shapes[g.last])
    return g


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(graphs())
def test_gradient_of_a_random_graph(g: Graph) -> None:
    y = g.last
    model = graph_model(g.nodes, {"x": g.shapes["x"]}, [y], g.stored)
    rng = np.random.default_rng(len(g.nodes))
    x = rng.uniform(-1, 1, g.shapes["x"])
    weights = rng.uniform(-1, 1, g.shapes[y])
    wide = ReferenceEvaluator(_in_double(model))
    want = difference_gradient(lambda x: wide.run([y], {"x": x})[0], x, weights, 1e-5)
    rewritten = append_gradients(model, of=y, wrt=["x"], seed=True)
    feeds = {"x": x.astype(np.float32), f"{y}_seed": weights.astype(np.float32)}
    (got,) = session_of(rewritten).run(["x_grad"], feeds)
    assert_close(got, want)


def _in_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its weights in float64; the reference evaluator ignores declared types."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    for tensor in double.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(value.astype(float), tensor.name))
    return double
