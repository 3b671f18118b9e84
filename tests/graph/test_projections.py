"""Keys and values as heads of a linear layer, and what few queries go around."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graphs import Build, weights
from methods.search.rerunning import session

from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.graph.projections import Projection, projection
from onnxcam.graph.split import split

TOKENS, WIDTH, HEADS, ACROSS = 6, 12, 2, 4

Layout = Callable[[Build], str]


def linear(b: Build, columns: int = HEADS * ACROSS, bias: bool = True) -> str:
    b.weight("w", weights(WIDTH, columns))
    b.op("MatMul", ["x", "w"], "product")
    if not bias:
        return "product"
    b.weight("b", weights(columns, seed=1))
    return b.op("Add", ["b", "product"], "linear")


def values(b: Build) -> str:
    b.weight("apart", np.array([0, -1, HEADS, ACROSS]))
    b.op("Reshape", [linear(b), "apart"], "split")
    return b.op("Transpose", ["split"], "heads", perm=[0, 2, 1, 3])


def keys(b: Build) -> str:
    """Transposed and scaled."""
    b.weight("scale", np.float32(0.3))
    b.op("Transpose", [values(b)], "upright", perm=[0, 1, 3, 2])
    return b.op("Mul", ["upright", "scale"], "scaled")


def divided(b: Build) -> str:
    b.weight("scale", np.array([4], np.float32))
    b.weight("apart", np.array([0, -1, HEADS, ACROSS]))
    b.op("Reshape", [linear(b, bias=False), "apart"], "split")
    b.op("Div", ["split", "scale"], "smaller")
    return b.op("Transpose", ["smaller"], "heads", perm=[0, 2, 3, 1])


def of_three(b: Build) -> str:
    """The second of queries, keys and values, from one product."""
    b.weight("apart", np.array([-1, TOKENS, 3, HEADS, ACROSS]))
    b.op("Reshape", [linear(b, 3 * HEADS * ACROSS), "apart"], "split")
    b.op("Transpose", ["split"], "turned", perm=[2, 0, 3, 1, 4])
    b.weight("second", np.array(1))
    return b.op("Gather", ["turned", "second"], "heads", axis=0)


def normalised(b: Build) -> str:
    b.weight("ones", np.ones(ACROSS, np.float32))
    return b.op("LayerNormalization", [values(b), "ones"], "normal", axis=-1)


def tokens_and_heads_mixed(b: Build) -> str:
    b.weight("apart", np.array([0, HEADS, -1, ACROSS]))
    return b.op("Reshape", [linear(b), "apart"], "mixed")


def pictures_mixed(b: Build) -> str:
    b.weight("apart", np.array([HEADS, -1, TOKENS, ACROSS]))
    b.op("Reshape", [linear(b), "apart"], "split")
    return b.op("Transpose", ["split"], "mixed", perm=[1, 0, 2, 3])


def scaled_by_position(b: Build) -> str:
    b.weight("factors", weights(TOKENS, 1))
    return b.op("Mul", [values(b), "factors"], "scaled")


def found_in(layout: Layout, batch: int | str) -> tuple[Build, str, Projection | None]:
    b = Build((batch, TOKENS, WIDTH), name="x")
    last = layout(b)
    b.output(last, None)
    network = Network(b.model())
    return b, last, projection(network, network.tensors[last])


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("layout", [values, keys, divided, of_three])
def test_heads_are_products_with_their_columns(layout: Layout, batch: int | str) -> None:
    b, _, found = found_in(layout, batch)
    assert found is not None
    assert found.tokens == TOKENS
    x = weights(1, TOKENS, WIDTH, seed=3)
    expected = session(b.model()).run(None, {"x": x})[0]
    made = x[:, None] @ found.weight + (0 if found.bias is None else found.bias)
    made = made.swapaxes(2, 3) if found.is_transposed else made
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "layout", [normalised, tokens_and_heads_mixed, pictures_mixed, scaled_by_position]
)
def test_what_is_no_projection(layout: Layout) -> None:
    assert found_in(layout, "n")[2] is None


@pytest.mark.parametrize("queries", [1, 2, 3])
@pytest.mark.parametrize("layout", [values, keys, divided, of_three])
def test_few_queries_go_around_it(layout: Layout, queries: int) -> None:
    """As soon as they are fewer than half as many as a head is wide."""
    b = Build(("n", TOKENS, WIDTH), name="x")
    last = layout(b)
    is_transposed = layout in (keys, divided)
    b.weight("left", weights(1, HEADS, TOKENS, ACROSS if is_transposed else TOKENS, seed=5))
    b.op("MatMul", ["left", last], "mixed")
    b.weight("rows", np.arange(1, 1 + queries))
    b.op("Gather", ["mixed", "rows"], "taken", axis=2)
    b.op("Identity", ["taken"], "out")
    b.output("out", None)
    model = b.model()
    network = Network(model)
    outputs = {"answer": network.tensors["out"]}
    found = split(Emitter(network), [network.tensors["x"]], outputs, {}).model
    x = weights(3, TOKENS, WIDTH, seed=3)
    np.testing.assert_allclose(
        session(found).run(None, {"x": x})[0],
        session(model).run(None, {"x": x})[0],
        rtol=1e-5,
        atol=1e-5,
    )
    stored = {tensor.name for tensor in found.graph.initializer}
    assert ("w" in stored) == (2 * queries > ACROSS)
