"""Derivatives that take a cheaper form beside certain neighbours than they have on their own."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from autodiff.numeric import session_of
from autodiff.programs import Program, check_cotangents, check_gradients, parsed, program

from onnxcam.gradients import append_gradients

KERNELS = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 4, 3, 3))
BETWEEN = """
g (float[N,4,5,5] x, float[4,4,3,3] w) => (float[N,4,5,5] y)
<float zero = {0}, float six = {6}> {
  a = Conv<pads = [1,1,1,1]>(x, w)
  %s
  y = Conv<pads = [1,1,1,1]>(b, w)
}
"""


def emitted(p: Program) -> list[str]:
    """The operators that the gradient with respect to x is made of."""
    graph = append_gradients(p.model, p.of, ["x"]).graph
    return [node.op_type for node in graph.node if node.name.startswith("onnxcam/")]


def between(activation: str, **given: object) -> Program:
    feeds = {"w": KERNELS, "x": np.random.default_rng(1).uniform(-6, 6, (2, 4, 5, 5))}
    sizes = {"N": 2}
    return program(BETWEEN % activation, wrt="x", stored="w", sizes=sizes, **feeds, **given)


@pytest.mark.parametrize(
    "activation",
    [
        "b = Relu(a)",
        "b = Clip(a, zero, six)",
        "b = HardSwish(a)",
        "b = Sigmoid(a)",
        "s = Sigmoid(a) b = Mul(a, s)",
    ],
)
def test_between_convolutions_nothing_leaves_their_layout(activation: str) -> None:
    p = between(activation)
    check_gradients(p)
    check_cotangents(p)
    assert set(emitted(p)) <= {"Conv", "HardSigmoid", "Mul", "Add", "Slice", "Transpose", "Expand"}


EDGES = np.float32(
    [0, 1e-45, -1e-45, 2.0**-126, 1, np.nextafter(np.float32(6), 0), 6, 7, 3e38, -3e38]
)
"""Zero, the smallest numbers on either side of it, the neighbours of 6, and very large ones."""


@pytest.mark.parametrize(
    ("activation", "passed"),
    [("b = Relu(a)", EDGES > 0), ("b = Clip(a, zero, six)", (EDGES > 0) & (EDGES < 6))],
)
@pytest.mark.parametrize("kind", ["float", "double"])
def test_steps_are_exact_in_every_type(activation: str, passed: np.ndarray, kind: str) -> None:
    """All of the cotangent or nothing passes, however small the value, however large the cotangent.

    ONNX Runtime convolves no float64; there the reference evaluator does.
    """
    size = len(EDGES)
    text = f"""
    g ({kind}[1,1,1,{size}] x) => ({kind}[1,1,1,{size}] y)
    <{kind}[1,1,1,1] one = {{1}}, {kind} zero = {{0}}, {kind} six = {{6}}> {{
      a = Conv(x, one)
      {activation}
      y = Conv(b, one)
    }}
    """
    model = append_gradients(parsed(text), "y", ["x"], seed=True)
    dtype = np.float32 if kind == "float" else np.float64
    seed = np.resize(dtype([3e38, -3e38, 1e-30]), (1, 1, 1, size))
    feeds = {"x": EDGES.reshape(1, 1, 1, size).astype(dtype), "y_seed": seed}
    run = session_of(model) if kind == "float" else onnx.reference.ReferenceEvaluator(model)
    (dx,) = run.run(["x_grad"], feeds)
    assert dx.dtype == dtype
    np.testing.assert_array_equal(dx, np.where(passed, seed, 0))


def test_hard_swish_at_and_beside_its_kinks() -> None:
    """From the very neighbours of -3 and 3 on, the slope is that of the pieces."""
    text = """
    g (float[1,1,1,6] x, float[1,1,1,1] one) => (float[1,1,1,6] y) {
      a = Conv(x, one)
      y = HardSwish(a)
    }
    """
    kinks = np.float32([-3, 3])
    x = np.array([*np.nextafter(kinks, -9), *np.nextafter(kinks, 9), -9, 9]).reshape(1, 1, 1, 6)
    p = program(text, wrt="x", stored="one", one=np.ones((1, 1, 1, 1)), x=x.astype(np.float32))
    model = append_gradients(p.model, "y", ["x"])
    (dx,) = onnx.reference.ReferenceEvaluator(model).run(["x_grad"], p.feeds)
    np.testing.assert_allclose(dx.ravel(), [0, 1.5, -0.5, 1, 0, 1], atol=1e-6)


def test_both_ways_through_x_times_f_of_x_share_one_product() -> None:
    text = "g (float[2,3] x) => (float[2,3] y) { s = Sigmoid(x) y = Mul(x, s) }"
    p = program(text)
    check_gradients(p)
    check_cotangents(p)
    assert emitted(p).count("Add") == 1


@pytest.mark.parametrize(
    ("cuts", "joins"),
    [("0 2 2 3 3 5", True), ("2 3 0 2 3 5", True), ("0 2 2 3", False), ("0 3 2 5 0 1", False)],
)
def test_slices_that_lie_side_by_side_are_joined_and_others_added(cuts: str, joins: bool) -> None:
    bounds = [int(bound) for bound in cuts.split()]
    pairs = list(zip(bounds[::2], bounds[1::2], strict=True))
    names = [f"s{k}" for k in range(len(pairs))]
    stored = "".join(
        f", int64[1] b{k} = {{{low}}}, int64[1] e{k} = {{{high}}}"
        for k, (low, high) in enumerate(pairs)
    )
    cut = " ".join(f"s{k} = Slice(x, b{k}, e{k}, axis)" for k in range(len(pairs)))
    squared = " ".join(f"q{name} = Exp({name})" for name in names)
    length = sum(high - low for low, high in pairs)
    text = f"""
    g (float[2,5] x) => (float[2,{length}] y) <int64[1] axis = {{1}}{stored}> {{
      {cut} {squared} y = Concat<axis = 1>({", ".join("q" + name for name in names)})
    }}
    """
    p = program(text)
    check_gradients(p)
    check_cotangents(p)
    assert ("Concat" in emitted(p)) == joins


def test_scale_and_mean_of_a_layer_normalization_go_into_the_weights_behind_it() -> None:
    text = """
    g (float[N,3,4] x, float[4] scale, float[4] bias, float[4,5] w) => (float[N,3,5] y) {
      n = LayerNormalization<axis = -1>(x, scale, bias)
      y = MatMul(n, w)
    }
    """
    p = program(text, wrt="x", stored="scale bias w", sizes={"N": 2})
    check_gradients(p)
    check_cotangents(p)
    fed = program(text, wrt="x w scale bias", sizes={"N": 2})
    check_gradients(fed)


@pytest.mark.parametrize("group", [1, 2])
def test_batch_normalization_goes_into_the_weights_of_the_convolution_before_it(
    group: int,
) -> None:
    text = f"""
    g (float[N,4,5,5] x, float[4,{4 // group},3,3] w, float[4] s, float[4] b, float[4] m,
       float[4] v) => (float[N,4,3,3] y) {{
      a = Conv<group = {group}, pads = [1,1,1,1], strides = [2,2]>(x, w)
      n = BatchNormalization(a, s, b, m, v)
      y = Tanh(n)
    }}
    """
    v = np.array([0.5, 1, 2, 3])
    p = program(text, wrt="x", stored="w s b m v", sizes={"N": 2}, v=v)
    check_gradients(p)
    check_cotangents(p)
    nodes = append_gradients(p.model, "y", ["x"]).graph.node
    (transposed,) = (node for node in nodes if node.op_type == "ConvTranspose")
    made_by = {output: node.op_type for node in nodes for output in node.output}
    assert made_by[transposed.input[1]] == "Mul"
