"""What stands in for operators that not every runtime has gives the same values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from graphs import Build

from onnxcam.errors import ModelError
from onnxcam.graph.body import close, needed
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network
from onnxcam.profiles import PROFILES, find_profile
from onnxcam.profiles.profile import EVERYWHERE
from onnxcam.runtime import Runner

PORTABLE = PROFILES["portable"]
Emit = Callable[[Emitter, gs.Tensor], gs.Tensor]


def network(*shape: int | str) -> Network:
    """The input `image` as the output `same`."""
    b = Build(shape)
    b.op("Identity", ["image"], "same")
    b.output("same", shape)
    return Network(b.model())


def both(emit: Emit, x: np.ndarray, shape: tuple[int | str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What was emitted gives, as it is and in the portable profile."""
    found = []
    for profile in ("cpu", "portable"):
        e = Emitter(network(*shape))
        made = emit(e, e.network.tensors["image"])
        find_profile(profile).apply(e, [made])
        model = merge(e, {"made": made})
        onnx.checker.check_model(model, full_check=True)
        if profile == "portable":
            assert {node.op_type for node in model.graph.node} <= EVERYWHERE
        found.append(Runner(model).run({"image": x})["made"])
    return found[0], found[1]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("reduction", ["none", "add"])
@pytest.mark.parametrize("narrow", [False, True])
def test_scatter(axis: int, reduction: str, narrow: bool) -> None:
    rng = np.random.default_rng(0)
    shape = (4, 5, 6)
    picked = [3 if k == axis % 3 else n - narrow for k, n in enumerate(shape)]
    length = shape[axis]
    index = np.argsort(rng.random((*picked, length)), -1)[..., 0]  # may meet: allowed for "add"
    if reduction == "none":
        order = np.argsort(
            rng.random([length if k == axis % 3 else n for k, n in enumerate(shape)]), axis
        )
        index = order[tuple(slice(n) for n in picked)]
    index = np.where(rng.random(index.shape) < 0.3, index - length, index)  # counted from behind

    def emit(e: Emitter, x: gs.Tensor) -> gs.Tensor:
        at, values = e.constant(index, np.int64), e.constant(rng.random(picked), np.float32)
        how = {} if reduction == "none" else {"reduction": reduction}
        return e.op("ScatterElements", x, at, values, shape=list(x.shape), axis=axis % 3, **how)

    rng_state = rng.bit_generator.state
    x = np.random.default_rng(1).random(shape).astype(np.float32)

    def same(e: Emitter, t: gs.Tensor) -> gs.Tensor:
        rng.bit_generator.state = rng_state
        return emit(e, t)

    plain, portable = both(same, x, shape)
    np.testing.assert_allclose(portable, plain, rtol=1e-6)


def test_scatter_into_an_open_axis() -> None:
    def emit(e: Emitter, x: gs.Tensor) -> gs.Tensor:
        at = e.cast(e.op("ArgMax", x, shape=["n", 1], dtype=np.int64, axis=1), np.int64)
        ones = e.mul(e.cast(at, np.float32), 2.0)
        return e.op("ScatterElements", x, at, ones, shape=list(x.shape), axis=1, reduction="add")

    x = np.random.default_rng(2).random((3, 7)).astype(np.float32)
    plain, portable = both(emit, x, ("n", "m"))
    np.testing.assert_allclose(portable, plain)


@pytest.mark.parametrize("limit", [0.5, 3.0, 1e9])
def test_a_loop_stops_where_it_would_have(limit: float) -> None:
    """Doubling until the sum exceeds the limit, five times at most."""

    def emit(e: Emitter, x: gs.Tensor) -> gs.Tensor:
        step = gs.Variable(e.name("step"), np.dtype(np.int64), [])
        more = gs.Variable(e.name("more"), np.dtype(bool), [])
        before = gs.Variable(e.name("value"), x.dtype, list(x.shape))
        inner = Emitter(e.network, e)
        total = inner.reduce("ReduceSum", before, [-1], keepdims=False)
        go_on = inner.less(total, limit)
        body = close(inner, [step, more, before], [go_on, inner.mul(before, 2.0)])
        start = [e.constant(5, np.int64), e.constant(True, bool), x]
        [last] = e.several("Loop", start, [list(x.shape)], [x.dtype], body=body)
        return last

    x = np.full(4, 0.1, np.float32)
    plain, portable = both(emit, x, (4,))
    np.testing.assert_allclose(portable, plain)


@pytest.mark.parametrize("positive", [False, True])
def test_a_branch_is_chosen_behind_both(positive: bool) -> None:
    def emit(e: Emitter, x: gs.Tensor) -> gs.Tensor:
        then, other = Emitter(e.network, e), Emitter(e.network, e)
        branches = {
            "then_branch": close(then, [], [then.mul(x, 3.0)]),
            "else_branch": close(other, [], [other.unary("Neg", x)]),
        }
        condition = e.greater(e.reduce("ReduceSum", x, [-1], keepdims=False), 0.0)
        [made] = e.several("If", [condition], [list(x.shape)], [x.dtype], **branches)
        return made

    x = np.arange(4, dtype=np.float32) if positive else -np.arange(4, dtype=np.float32)
    plain, portable = both(emit, x, (4,))
    np.testing.assert_allclose(portable, plain)


def test_a_size_is_multiplied_from_the_shape() -> None:
    def emit(e: Emitter, x: gs.Tensor) -> gs.Tensor:
        return e.op("Size", x, shape=[], dtype=np.int64)

    plain, portable = both(emit, np.zeros((2, 3, 4), np.float32), ("n", 3, "m"))
    assert plain == portable == 24


def test_a_square_weight_is_not_used_both_ways() -> None:
    square = np.random.default_rng(3).random((4, 4)).astype(np.float32)

    def emit(e: Emitter, x: gs.Tensor) -> gs.Tensor:
        weight = e.constant(square)
        return e.matmul(e.matmul(x, weight), e.transpose(weight, (1, 0)))

    x = np.random.default_rng(4).random((3, 4)).astype(np.float32)
    plain, portable = both(emit, x, (3, 4))
    np.testing.assert_array_equal(portable, plain)
    e = Emitter(network(3, 4))
    made = emit(e, e.network.tensors["image"])
    PORTABLE.apply(e, [made])
    kept = needed(e.nodes, {made.name})
    [turned] = [node for node in kept if node.op == "Transpose"]
    assert not isinstance(turned.inputs[0], gs.Constant)


def test_what_has_no_substitute_is_named() -> None:
    e = Emitter(network(4))
    made = e.op("NonZero", e.network.tensors["image"], shape=[1, None], dtype=np.int64)
    with pytest.raises(ModelError, match="NonZero"):
        PORTABLE.apply(e, [made])


def test_what_nobody_needs_is_not_asked_about() -> None:
    e = Emitter(network(4))
    x = e.network.tensors["image"]
    e.op("NonZero", x, shape=[1, None], dtype=np.int64)
    made = e.unary("Neg", x)
    PORTABLE.apply(e, [made])
    assert [node.op for node in e.nodes] == ["Neg"]


def test_cuda_takes_all_but_what_it_lacks() -> None:
    e = Emitter(network(4))
    x = e.network.tensors["image"]
    PROFILES["cuda"].apply(e, [e.op("NonZero", x, shape=[1, None], dtype=np.int64)])
    with pytest.raises(ModelError, match="Mish"):
        PROFILES["cuda"].apply(e, [e.unary("Mish", x)])


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ModelError, match="'portable'"):
        find_profile("portabel")
