"""First singular vectors against NumPy's decomposition in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from graphs import Build, Dims

from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network
from onnxcam.methods.projection.singular import (
    first_component_of,
    first_eigenvector,
    first_scores,
)
from onnxcam.runtime import Runner

Core = Callable[..., gs.Tensor]


def run(core: Core, *values: np.ndarray, dims: Dims | None = None) -> np.ndarray:
    """What the core makes of values, of which the graph knows the dimensions `dims` at most."""
    b = Build(dims or list(values[0].shape), opset=13, name="x0")
    b.op("Identity", ["x0"], "y0")
    b.output("y0", dims or list(values[0].shape))
    for k, value in enumerate(values[1:], 1):
        b.weight(f"x{k}", value.astype(np.float32))
        b.op("Identity", [f"x{k}"], f"y{k}")
        b.output(f"y{k}", list(value.shape))
    network = Network(b.model())
    e = Emitter(network)
    made = core(e, *(network.tensors[f"x{k}"] for k in range(len(values))))
    answer = Runner(merge(e, {"found": made})).run({"x0": values[0].astype(np.float32)})
    return answer["found"]


def cloud(*shape: int, ratio: float = 0.8, seed: int = 0) -> np.ndarray:
    """Points (..., C, P) with mean zero and singular values 1, ratio, ratio^2, ..."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    x -= x.mean(-1, keepdims=True)
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    rank = u.shape[-1] - 1 if shape[-1] <= shape[-2] else u.shape[-1]
    values = np.concatenate([ratio ** np.arange(rank), np.zeros(u.shape[-1] - rank)])
    return (u * values) @ vt


def scores(x: np.ndarray) -> np.ndarray:
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return s[..., :1, None] * vt[..., :1, :] * np.sign(u[..., :1, :1])


def close(found: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-4) -> None:
    """Equal up to the sign of each."""
    assert found.shape == wanted.shape
    sign = np.sign((found * wanted).sum((-2, -1), keepdims=True))
    np.testing.assert_allclose(sign * found, wanted, atol=tolerance * np.abs(wanted).max())


SHAPES = [(1, 40, 9), (3, 9, 40), (2, 25, 25), (2, 3, 30, 16), (1, 2, 7), (1, 7, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ratio", [0.3, 0.9, 0.99])
def test_scores_are_those_of_the_decomposition(shape: tuple[int, ...], ratio: float) -> None:
    x = cloud(*shape, ratio=ratio)
    close(run(first_scores, x), scores(x))


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_scores_keep_their_scale(scale: float) -> None:
    x = cloud(2, 30, 9) * scale
    close(run(first_scores, x), scores(x))


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_open_sizes_are_decided_in_the_run(shape: tuple[int, ...]) -> None:
    x = cloud(*shape)
    close(run(first_scores, x, dims=["n", shape[1], "positions"]), scores(x))


@pytest.mark.parametrize("shape", [(2, 40, 9), (2, 9, 40)])
@pytest.mark.parametrize("open_size", [False, True])
def test_weights_stretch_the_dimensions(shape: tuple[int, ...], open_size: bool) -> None:
    x = cloud(*shape)
    weights = np.random.default_rng(1).standard_normal((3, *shape[:-1], 1))
    dims: Dims | None = ["n", shape[1], "positions"] if open_size else None
    close(run(first_scores, x, weights, dims=dims), scores(x * weights))


def test_a_close_second_is_told_apart() -> None:
    """sigma_2^2 = 0.998 sigma_1^2: rounding, 1e-7, is magnified by 1 / 0.002."""
    x = cloud(1, 40, 16, ratio=0.999)
    close(run(first_scores, x), scores(x), 2e-3)


def test_equal_first_two_give_a_vector_of_their_plane() -> None:
    x = cloud(1, 40, 16)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    s[..., 1] = s[..., 0]
    found = run(first_scores, (u * s[..., None, :]) @ vt)[0, 0]
    inside = vt[0, :2] @ found
    np.testing.assert_allclose(np.linalg.norm(inside), s[0, 0], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found), s[0, 0], rtol=1e-4)


def test_nothing_gives_nothing() -> None:
    assert not run(first_scores, np.zeros((2, 8, 5))).any()
    assert not run(first_scores, np.zeros((2, 5, 8))).any()


def test_one_empty_picture_leaves_the_others_alone() -> None:
    x = cloud(2, 8, 5)
    x[0] = 0
    found = run(first_scores, x)
    assert not found[0].any()
    close(found[1:], scores(x[1:]))


def test_an_eigenvector_with_zeros_is_found_at_once() -> None:
    """The longest column is chosen: another one would be a rounding error."""
    gram = np.diag([0.1, 0.2, 5.0, 0.3])[None]
    np.testing.assert_allclose(run(first_eigenvector, gram)[0, :, 0], [0, 0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("negative", [0.5, 0.99, 3.0])
def test_of_a_kernel_the_largest_eigenvalue_counts(negative: float) -> None:
    """However far below zero the others lie."""
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((9, 9)))
    values = np.array([2, 1.5, *np.linspace(1, 0, 6), -2 * negative])
    found = run(first_component_of, ((q * values) @ q.T)[None])
    close(found, np.sqrt(2) * q[None, :, :1])
