"""Properties that hold for every network, tried on random ones."""

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import complete, session_of
from autodiff.random_graphs import NOT_DRAWN, Candidate, Graph, drawn, random_graph, standard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from onnxcam.autodiff import differentiate
from onnxcam.check.types import in_type
from onnxcam.gradients import append_gradients
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

GRAPHS = 300
TOLERANCE = 2e-3
STEPS = (1e-4, 1e-6)


class Unfit(Exception):
    """Nothing to compare: the runtime does not run the network, or computes something else than
    the reference evaluator, or a kink is so near that differences of two step sizes, or to one
    side and to both, disagree."""


def check(g: Graph, dynamic: bool) -> None:
    """The gradient along random directions is that of differences, and the output what it was."""
    model, y = g.model(dynamic), g.last
    feeds = {name: value.astype(np.float32) for name, value in g.inputs.items()}
    plain = run(model, y, feeds)
    if plain.shape != g.values[y].shape or not np.allclose(plain, g.values[y], 1e-3, 1e-3):
        raise Unfit
    rng = np.random.default_rng(0)
    weights = rng.uniform(-1, 1, g.values[y].shape)
    sources = [name for name in g.inputs if _reaches(g, name)]
    rewritten = append_gradients(model, of=y, wrt=sources, seed=True)
    outputs = [y, *(f"{name}_grad" for name in sources)]
    seeded = feeds | {f"{y}_seed": weights.astype(np.float32)}
    value, *gradients = session_of(rewritten).run(outputs, seeded)
    np.testing.assert_array_equal(value, plain)
    wide = ReferenceEvaluator(in_type(model, 11))
    for name, gradient in zip(sources, gradients, strict=True):
        for _ in range(2):
            v = rng.standard_normal(gradient.shape)
            expected = _slope(wide, g, name, v, weights, y)
            scale = max(1.0, abs(expected), float(np.linalg.norm(gradient)))
            assert abs(float((gradient * v).sum()) - expected) < TOLERANCE * scale, name


def run(model: onnx.ModelProto, y: str, feeds: dict[str, np.ndarray]) -> np.ndarray:
    try:
        return np.asarray(session_of(model).run([y], feeds)[0])
    except Exception:  # the runtime's own types; the evaluator takes what it refuses
        raise Unfit from None


def _reaches(g: Graph, name: str) -> bool:
    found = {name}
    for node in g.nodes:
        if found & set(node.input):
            found |= set(node.output)
    return g.last in found


def _slope(
    wide: ReferenceEvaluator, g: Graph, name: str, v: np.ndarray, weights: np.ndarray, y: str
) -> float:
    def loss(h: float) -> float:
        found = wide.run([y], g.inputs | {name: g.inputs[name] + h * v})[0]
        return float((found * weights).sum())

    slopes = [(loss(step) - loss(-step)) / (2 * step) for step in STEPS]
    ahead = (loss(STEPS[-1]) - loss(0.0)) / STEPS[-1]
    if not np.ptp([*slopes, ahead]) <= TOLERANCE / 4 * max(1.0, *map(abs, slopes)):
        raise Unfit
    return slopes[-1]


@settings(
    max_examples=GRAPHS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(st.integers(0, 2**32 - 1))
def test_the_gradient_of_random_graphs(seed: int) -> None:
    g = random_graph(seed)
    try:
        check(g, dynamic=False)
    except Unfit:
        assume(False)
    except Exception as error:
        raise AssertionError(f"seed {seed}, opset {g.opset}: {described(g)}: {error}") from error


def test_on_a_kink_there_is_nothing_to_compare() -> None:
    g = Graph(18, {"x": np.zeros(1)})
    assert g.take(Candidate("Relu", ["x"]))
    with pytest.raises(Unfit):
        check(g, dynamic=False)


def test_no_node_is_drawn_where_its_slope_is_infinite() -> None:
    """There frameworks give NaN, even where what it reads never changes."""
    g = Graph(18, {"x": np.ones((2, 1))})
    assert g.take(Candidate("LpNormalization", ["x"], {"axis": 1}))
    assert not g.take(Candidate("Acos", [g.last]))
    assert g.take(Candidate("Asinh", [g.last]))


def described(g: Graph) -> str:
    return " ".join(node.op_type for node in g.nodes)


@pytest.mark.parametrize("seed", range(40))
def test_several_targets_are_so_many_single_ones(seed: int) -> None:
    g = random_graph(seed)
    model = g.model(dynamic=False)
    feeds = {name: value.astype(np.float32) for name, value in g.inputs.items()}
    try:
        run(model, g.last, feeds)
    except Unfit:
        pytest.skip("the runtime does not run it")
    if not _reaches(g, "x"):
        pytest.skip("the output does not depend on x")
    e = Emitter(Network(model))
    y = e.network.tensors[g.last]
    several = gs.Variable("several", np.dtype(np.float32), [2, *y.shape])
    one = gs.Variable("one", np.dtype(np.float32), list(y.shape))
    outputs = {
        name: e.op("Identity", differentiate(e, {g.last: cotangent}, ["x"])["x"], shape=None)
        for name, cotangent in (("d_several", several), ("d_one", one))
    }
    session = session_of(complete(e, outputs, [several, one]))
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(-1, 1, (2, *g.values[g.last].shape)).astype(np.float32)
    shape = g.inputs["x"].shape
    found = session.run(["d_several"], feeds | {"several": seeds, "one": seeds[0]})[0]
    for k in range(2):
        (single,) = session.run(["d_one"], feeds | {"several": seeds, "one": seeds[k]})
        left, right = np.broadcast_to(found, (2, *shape))[k], np.broadcast_to(single, shape)
        scale = max(1.0, float(np.abs(right).max()))
        np.testing.assert_allclose(left, right, atol=1e-4 * scale)


def test_every_operator_is_drawn_or_left_out_for_a_reason() -> None:
    left_out = {op for ops in NOT_DRAWN.values() for op in ops.split()}
    assert drawn() & left_out == set()
    assert drawn() | left_out == standard()
