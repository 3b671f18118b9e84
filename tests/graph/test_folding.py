"""Emitted nodes that settled inputs decide are computed; all others keep their values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from graphs import Build

from onnxcam.graph.body import close
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.folding import folded
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network
from onnxcam.runtime import Runner

X = np.arange(12, dtype=np.float32).reshape(3, 4)
Emit = Callable[[Emitter, gs.Tensor, gs.Tensor], gs.Tensor]


def network(batch: int | str = "n") -> Network:
    """The input `image`, (n, 4), as the output `same`."""
    b = Build((batch, 4))
    b.op("Identity", ["image"], "same")
    b.output("same", (batch, 4))
    return Network(b.model())


def both(emit: Emit, asked: list[int], batch: int | str = "n") -> tuple[list[str], np.ndarray]:
    """The operators that are left where `asked` (1, ...) is settled, and what they give; which is
    what they give where it is an input."""
    value = np.array([asked], np.int64)
    found = []
    for settled in (False, True):
        e = Emitter(network(batch))
        request = gs.Variable("asked", np.dtype(np.int64), ["asked_batch", len(asked)])
        outputs = {"made": emit(e, e.network.tensors["image"], request)}
        if settled:
            outputs = folded(e, [(request, value)], outputs)
        model = merge(e, outputs, [] if settled else [request])
        onnx.checker.check_model(model, full_check=True)
        feeds = {"image": X} if settled else {"image": X, "asked": value}
        found.append(Runner(model).run(feeds)["made"])
    np.testing.assert_array_equal(*found)
    return [node.op_type for node in model.graph.node[1:]], found[1]


def chosen(e: Emitter, x: gs.Tensor, request: gs.Tensor) -> gs.Tensor:
    """The columns asked for, or below 0 each row's largest: (n, K)."""
    shape = [x.shape[0], 1]
    best = e.op("ArgMax", x, shape=shape, dtype=np.dtype(np.int64), axis=1, keepdims=1)
    index = e.where(e.less(request, 0), best, request)
    index.shape = [x.shape[0], request.shape[1]]
    return index


def one_hot(e: Emitter, x: gs.Tensor, request: gs.Tensor) -> gs.Tensor:
    index = e.unsqueeze(chosen(e, x, request), [-1])
    return e.cast(e.equal(index, e.constant(np.arange(4), np.int64)), np.float32)


def test_a_value_is_repeated_where_it_is_needed_in_full() -> None:
    left, made = both(chosen, [2, 1])
    assert left == ["Shape", "Gather", "Concat", "Expand"]
    assert made.tolist() == [[2, 1]] * 3


def test_what_broadcasts_repeats_it_itself() -> None:
    left, _ = both(lambda e, x, r: e.mul(one_hot(e, x, r), e.unsqueeze(x, [1])), [2])
    assert left == ["Unsqueeze", "Mul"]


def test_rows_of_a_product_are_not_broadcast() -> None:
    def product(e: Emitter, x: gs.Tensor, request: gs.Tensor) -> gs.Tensor:
        rows = e.squeeze(one_hot(e, x, request), [-2])  # (n, 4)
        return e.matmul(rows, e.transpose(x, (1, 0)))

    left, made = both(product, [2])
    assert left[-1] == "MatMul"
    assert made.shape == (3, 3)


def test_a_fixed_batch_needs_no_lengths() -> None:
    left, _ = both(lambda e, x, r: e.add(chosen(e, x, r), 0), [2], batch=3)
    assert set(left) <= {"Identity", "Add"}


def test_a_side_that_is_always_chosen_stands_for_both() -> None:
    left, made = both(chosen, [-1])
    assert left == ["ArgMax"] or left == ["ArgMax", "Identity"]
    assert made.tolist() == [[3]] * 3


def test_where_the_run_decides_for_some_it_decides() -> None:
    left, made = both(chosen, [-1, 2])
    assert left == ["ArgMax", "Where"]
    assert made.tolist() == [[3, 2]] * 3


def test_sums_over_pictures_see_them_all() -> None:
    def summed(e: Emitter, x: gs.Tensor, request: gs.Tensor) -> gs.Tensor:
        return e.reduce("ReduceSum", one_hot(e, x, request), [-3])

    _, made = both(summed, [2])
    assert made.tolist() == [[[0, 0, 3, 0]]]


def test_lengths_are_those_of_the_run() -> None:
    def length(e: Emitter, x: gs.Tensor, request: gs.Tensor) -> gs.Tensor:
        return e.op("Shape", one_hot(e, x, request), shape=[3], dtype=np.dtype(np.int64))

    _, made = both(length, [2])
    assert made.tolist() == [3, 1, 4]


def test_bodies_read_what_is_settled() -> None:
    def branched(e: Emitter, x: gs.Tensor, request: gs.Tensor) -> gs.Tensor:
        hot = one_hot(e, x, request)
        inner = Emitter(e.network, e)
        body = close(inner, [], [inner.mul(hot, 2)])
        other = Emitter(e.network, e)
        rest = close(other, [], [other.mul(hot, 3)])
        condition = e.constant(np.array(True))
        return e.op(
            "If", condition, shape=list(hot.shape), dtype=hot.dtype,
            then_branch=body, else_branch=rest,
        )  # fmt: skip

    left, made = both(branched, [2])
    assert left[-1] == "If"
    assert made[:, 0].tolist() == [[0, 0, 2, 0]] * 3


def test_what_is_too_large_is_made_in_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.graph.folding.LARGEST_STORED", 3)
    left, _ = both(one_hot, [2])
    assert left[-2:] == ["Equal", "Cast"]
