"""Only the rows that are read: the same numbers, from less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from graphs import Build, weights
from methods.search.rerunning import logits_behind, session, values_of
from vision_transformers import Transformer

from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.graph.split import split

TOKENS, WIDTH, OUT = 6, 8, 3

Step = Callable[[Build, str, str], object]
"""Adds operators from one tensor to another to a graph."""


def behind(model: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    network = Network(model)
    cut = [network.tensors[name] for name in names]
    found = split(Emitter(network), cut, {"answer": network.graph.outputs[0]}, {}).model
    onnx.checker.check_model(found)
    return found


def tokens(*steps: Step, batch: int | str = "n", opset: int = 18) -> onnx.ModelProto:
    """From tokens x (batch, 6, 8) through steps and a linear layer; of the result rows are read."""
    b = Build((batch, TOKENS, WIDTH), opset, name="x")
    *between, read = steps
    last = "x"
    for k, step in enumerate(between):
        step(b, last, f"y{k}")
        last = f"y{k}"
    b.weight("w", weights(WIDTH, OUT))
    b.op("MatMul", [last, "w"], "projected")
    read(b, "projected", "read")
    b.op("Identity", ["read"], "out")
    b.output("out", None)
    return b.model()


def op(name: str, *constants: object, **attrs: object) -> Step:
    """One operator, with constants behind its first input."""

    def step(b: Build, x: str, y: str) -> None:
        stored = [b.weight(f"{y}.{k}", value) for k, value in enumerate(constants)]
        b.op(name, [x, *stored], y, **attrs)

    return step


def chain(*steps: Step) -> Step:
    def step(b: Build, x: str, y: str) -> None:
        for k, one in enumerate(steps):
            target = y if k == len(steps) - 1 else f"{y}.part{k}"
            one(b, x, target)
            x = target

    return step


def residual(inner: Step) -> Step:
    def step(b: Build, x: str, y: str) -> None:
        inner(b, x, f"{y}.branch")
        b.op("Add", [x, f"{y}.branch"], y)

    return step


def moments(b: Build, x: str, y: str) -> None:
    """A normalisation in single steps."""
    b.weight(f"{y}.axis", np.array([-1]))
    b.op("ReduceMean", [x, f"{y}.axis"], f"{y}.mean", keepdims=1)
    b.op("Sub", [x, f"{y}.mean"], f"{y}.centred")
    b.op("Mul", [f"{y}.centred", f"{y}.centred"], f"{y}.squares")
    b.op("ReduceMean", [f"{y}.squares", f"{y}.axis"], f"{y}.variance", keepdims=1)
    b.weight(f"{y}.epsilon", np.float32(1e-3))
    b.op("Add", [f"{y}.variance", f"{y}.epsilon"], f"{y}.raised")
    b.op("Sqrt", [f"{y}.raised"], f"{y}.deviation")
    b.op("Div", [f"{y}.centred", f"{y}.deviation"], y)


def dynamic_lengths(b: Build, x: str, y: str) -> None:
    """Two heads and back, to lengths that are worked out from those of x."""
    for name, value in (("zero", [0]), ("one", [1]), ("heads", [2, 4]), ("join", [WIDTH])):
        b.weight(f"{y}.{name}", np.array(value))
    b.op("Shape", [x], f"{y}.shape")
    b.op("Gather", [f"{y}.shape", f"{y}.zero"], f"{y}.n", axis=0)
    b.op("Gather", [f"{y}.shape", f"{y}.one"], f"{y}.t", axis=0)
    b.op("Concat", [f"{y}.n", f"{y}.t", f"{y}.heads"], f"{y}.apart", axis=0)
    b.op("Concat", [f"{y}.n", f"{y}.t", f"{y}.join"], f"{y}.together", axis=0)
    b.op("Reshape", [x, f"{y}.apart"], f"{y}.split")
    b.op("Reshape", [f"{y}.split", f"{y}.together"], y)


FIRST = op("Gather", np.array(0), axis=1)
READS: dict[str, Step] = {
    "first": FIRST,
    "last": op("Gather", np.array(-1), axis=1),
    "some": op("Gather", np.array([4, 1, 1]), axis=1),
    "slice": op("Slice", np.array([1]), np.array([3]), np.array([1])),
    "backwards": op("Slice", *(np.array([k]) for k in (-1, -6, 1, -2))),
}
PASSED: dict[str, Step] = {
    "relu": op("Relu"),
    "clip": op("Clip", np.float32(-0.2), np.float32(0.4)),
    "column": op("Add", weights(TOKENS, 1)),
    "positions": op("Mul", weights(1, TOKENS, WIDTH)),
    "row": op("Sub", weights(WIDTH)),
    "softmax": op("Softmax", axis=-1),
    "layer": op("LayerNormalization", weights(WIDTH), weights(WIDTH), axis=-1),
    "moments": moments,
    "linear": op("MatMul", weights(WIDTH, WIDTH)),
    "residual": residual(op("Tanh")),
    "transposed": chain(op("Transpose", perm=[2, 0, 1]), op("Transpose", perm=[1, 2, 0])),
    "heads": chain(op("Reshape", np.array([0, -1, 2, 4])), op("Reshape", np.array([0, 0, 8]))),
    "lengths": dynamic_lengths,
    "unsqueezed": chain(op("Unsqueeze", np.array([1])), op("Squeeze", np.array([1]))),
    "dropout": op("Dropout"),
    "twice": lambda b, x, y: b.op("Mul", [x, x], y),
}
STOPPED: dict[str, Step] = {
    "softmax along": op("Softmax", axis=1),
    "normalised along": op("LayerNormalization", weights(TOKENS, WIDTH), axis=1),
    "cumulative": op("CumSum", np.array(1)),
}


def rows_taken_from(model: onnx.ModelProto) -> set[str]:
    stored = {tensor.name for tensor in model.graph.initializer}
    takes = [node for node in model.graph.node if node.op_type in ("Slice", "Gather")]
    return {node.input[0] for node in takes} - stored


def require_same(model: onnx.ModelProto, found: onnx.ModelProto, count: int = 3) -> None:
    x = weights(count, TOKENS, WIDTH, seed=9)
    expected = session(model).run(None, {"x": x})[0]
    np.testing.assert_allclose(session(found).run(None, {"x": x})[0], expected, 1e-5, 1e-6)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", PASSED)
def test_what_works_row_by_row(name: str, read: str) -> None:
    model = tokens(PASSED[name], READS[read])
    found = behind(model, "x")
    require_same(model, found)
    assert "y0" not in {out for node in found.graph.node for out in node.output}
    of = {node.op_type for node in found.graph.node if "x" in node.input}
    assert of <= {"Slice", "Gather", "Shape"}


@pytest.mark.parametrize("name", STOPPED)
def test_what_mixes_rows_stays_and_what_is_behind_it_is_narrowed(name: str) -> None:
    model = tokens(PASSED["relu"], STOPPED[name], PASSED["column"], FIRST)
    found = behind(model, "x")
    require_same(model, found)
    assert "y1" in rows_taken_from(found)
    made = {out for node in found.graph.node for out in node.output}
    assert "y0" in made
    assert "y2" not in made


def test_of_a_matrix_of_weights_in_front_only_the_rows_are_taken() -> None:
    def mixed(b: Build, x: str, y: str) -> None:
        b.op("MatMul", [b.weight("m", weights(TOKENS, TOKENS)), x], y)

    model = tokens(mixed, FIRST)
    found = behind(model, "x")
    require_same(model, found)
    assert not [node for node in found.graph.node if "x" in node.input and node.op_type == "Slice"]
    assert "y0" not in {out for node in found.graph.node for out in node.output}


def test_old_softmax_mixes_all_axes_from_its_own_on() -> None:
    for axis, passes in ((1, False), (2, True)):
        model = tokens(op("Softmax", axis=axis), FIRST, opset=12)
        found = behind(model, "x")
        require_same(model, found)
        assert ("y0" in {out for node in found.graph.node for out in node.output}) != passes


@pytest.mark.parametrize("seed", range(30))
def test_random_chains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = [*PASSED.values(), *STOPPED.values()]
    chosen = [steps[int(k)] for k in rng.integers(len(steps), size=5)]
    reads = list(READS.values())
    model = tokens(*chosen[:3], residual(chosen[3]), chosen[4], reads[int(rng.integers(5))])
    require_same(model, behind(model, "x"))


def test_two_tokens_read_apart_are_worked_out_together() -> None:
    def both(b: Build, x: str, y: str) -> None:
        READS["first"](b, x, f"{y}.a")
        READS["last"](b, x, f"{y}.b")
        b.op("Sub", [f"{y}.a", f"{y}.b"], y)

    model = tokens(PASSED["linear"], both)
    found = behind(model, "x")
    require_same(model, found)
    assert [node.op_type for node in found.graph.node].count("MatMul") == 2
    assert rows_taken_from(found) >= {"x"}


def test_where_all_rows_are_read_too_nothing_changes() -> None:
    def both(b: Build, x: str, y: str) -> None:
        FIRST(b, x, f"{y}.first")
        op("ReduceMean", np.array([1]), keepdims=0)(b, x, f"{y}.mean")
        b.op("Add", [f"{y}.first", f"{y}.mean"], y)

    model = tokens(PASSED["linear"], both)
    found = behind(model, "x")
    assert [n.op_type for n in found.graph.node][:-1] == [n.op_type for n in model.graph.node]
    require_same(model, found)


def test_without_a_product_nothing_changes() -> None:
    b = Build(("n", TOKENS, WIDTH), name="x")
    b.op("Relu", ["x"], "active")
    FIRST(b, "active", "out")
    b.output("out", None)
    assert [node.op_type for node in behind(b.model(), "x").graph.node][:2] == ["Relu", "Gather"]


def test_a_row_that_is_not_known_before() -> None:
    b = Build(("n", TOKENS, WIDTH), name="x")
    PASSED["linear"](b, "x", "y")
    b.op("ArgMax", ["y"], "best", axis=1, keepdims=0)
    b.op("ReduceMax", ["best"], "row", keepdims=0)
    b.op("Gather", ["y", "row"], "out", axis=1)
    b.output("out", None)
    model = b.model()
    found = behind(model, "x")
    assert [n.op_type for n in found.graph.node][:-1] == [n.op_type for n in model.graph.node]


FORMS = [
    Transformer(),
    Transformer(norm="layer"),
    Transformer(norm="moments", opset=17),
    Transformer(norm="layer", batch=1),
    Transformer(form="batched", norm="layer"),
    Transformer(form="batched", norm="layer", batch=1),
    Transformer(form="onnx", norm="layer", opset=23),
    Transformer(form="microsoft", norm="layer"),
    Transformer(form="packed", norm="layer"),
    Transformer(read="prefix", prefix=2, norm="layer"),
    Transformer(read="patches", norm="layer"),
    Transformer(read="all", norm="layer"),
    Transformer(read="pooled", norm="layer"),
]


@pytest.mark.parametrize("what", FORMS, ids=lambda what: f"{what.form}-{what.norm}-{what.read}")
@pytest.mark.parametrize("block", [0, 1])
def test_transformers(what: Transformer, block: int) -> None:
    model = what.model()
    skip = "embedded" if block == 0 else "block0.out"
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 3, *what.size)).astype(np.float32)
    names = [f"block{block}.norm1", skip]
    known = values_of(model, names, x)
    inside = [
        {name: value * rng.standard_normal(value.shape).astype(np.float32)}
        | {other: known[other] for other in names if other != name}
        for name, value in known.items()
        for _ in range(2)
    ]
    found = session(behind(model, *names))
    feeds = {name: np.concatenate([one[name] for one in inside]) for name in names}
    feeds = {i.name: feeds[i.name] for i in found.get_inputs()}
    np.testing.assert_allclose(
        found.run(None, feeds)[0], logits_behind(model, inside), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("what", FORMS[:7], ids=str)
def test_of_the_last_block_one_token_is_worked_out(what: Transformer) -> None:
    found = behind(what.model(), "block1.norm1", "block0.out")
    inferred = onnx.shape_inference.infer_shapes(found)
    hidden = next(n for n in inferred.graph.node if "block1.hidden.weight" in n.input)
    made = {v.name: v for v in inferred.graph.value_info}
    dims = made[hidden.output[0]].type.tensor_type.shape.dim
    assert [len(dims), dims[1].dim_value] == [3, 1]
