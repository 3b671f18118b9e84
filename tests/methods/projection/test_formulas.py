"""Every projection and baseline against its formula in NumPy, on every layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from builders import as_float16, classifier, gap_linear
from graphs import CLASSES, pictures, weights
from methods.gradient.layouts import LAYOUTS, watched

import onnxcam
from onnxcam.autodiff import engine
from onnxcam.errors import MethodError
from onnxcam.methods import find_method
from onnxcam.runtime import Runner

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def projected(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Points (N, C, P) on their first axis, of the sign of the reference (N, P)."""
    x = x - x.mean(-1, keepdims=True)
    u, _, _ = np.linalg.svd(x, full_matrices=False)
    found = np.einsum("nc,ncp->np", u[..., 0], x)
    return found * np.sign((found * reference).sum(-1, keepdims=True))


def highest_up(found: np.ndarray) -> np.ndarray:
    turned = np.abs(found.min(-1, keepdims=True)) > found.max(-1, keepdims=True)
    return np.where(turned, -found, found)


def kernel_component(a: np.ndarray, gamma: float | None = None) -> np.ndarray:
    """One point after the other, with the eigenvalues in full."""
    maps = []
    for x in a.transpose(0, 2, 1):
        x = x - x.mean(0)
        kernel = np.tanh(x @ x.T * (1 / x.shape[1] if gamma is None else gamma) + 1)
        middle = np.eye(len(x)) - 1 / len(x)
        values, vectors = np.linalg.eigh(middle @ kernel @ middle)
        maps.append(vectors[:, -1] * np.sqrt(values[-1]))
    return highest_up(np.stack(maps))


def unusual(a: np.ndarray, k: float = 2) -> np.ndarray:
    mean, deviation = a.mean(-1, keepdims=True), a.std(-1, keepdims=True)
    return (mean * (a - mean > k * deviation)).sum(1)


def random(a: np.ndarray, seed: int = 0) -> np.ndarray:
    w = np.random.default_rng(seed).uniform(-1, 1, a.shape[1])
    return np.einsum("c,ncp->np", w, a)


FORMULAS: dict[str, Formula] = {
    "eigencam": lambda a, g: projected(a, np.abs(a).sum(1)),
    "eigengradcam": lambda a, g: projected(g * a, (g * a).sum(1)),
    "segeigencam": lambda a, g: highest_up(projected(np.abs(g) * a, a.sum(1))),
    "kpcacam": lambda a, g: kernel_component(a),
    "fem": lambda a, g: unusual(a),
    "activation": lambda a, g: a.mean(1),
    "random": lambda a, g: random(a),
}
"""Of activations and gradients (N, C, positions)."""


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("method", FORMULAS)
def test_formula_on_every_layout(method: str, name: str) -> None:
    layout = LAYOUTS[name]
    x = layout.x(3)
    explainer = onnxcam.Explainer(layout.make(), method=method, layer=layout.layer)
    a, g = watched(layout, x, 2)
    wanted = FORMULAS[method](a, g).reshape(-1, *layout.size)
    close(explainer.run(x, target=2)["raw"][:, 0], wanted)


@pytest.mark.parametrize("name", ["NCHW, pooled", "NHWC", "tokens", "NCDHW"])
@pytest.mark.parametrize("method", FORMULAS)
def test_several_targets_are_as_each_alone(method: str, name: str) -> None:
    layout = LAYOUTS[name]
    x = layout.x(2)
    explainer = onnxcam.Explainer(layout.make(), method=method, layer=layout.layer)
    found = explainer.run(x, top=3)
    assert found["raw"].shape == (len(x), 3, *layout.size)
    for n, row in enumerate(found["target"]):
        for k, target in enumerate(row):
            alone = explainer.run(x, target=int(target))["raw"][n, 0]
            close(found["raw"][n, k], alone)


@pytest.mark.parametrize("method", FORMULAS)
def test_a_batch_is_as_each_picture_alone(method: str) -> None:
    explainer = onnxcam.Explainer(classifier(("n", 3, 16, 16)), method=method)
    x = pictures(3)
    found = explainer.run(x, target=1)["raw"]
    for n in range(3):
        close(found[n], explainer.run(x[n : n + 1], target=1)["raw"][0])


@pytest.mark.parametrize("side", [2, 8, 12])
@pytest.mark.parametrize("method", FORMULAS)
def test_open_sizes(method: str, side: int) -> None:
    """More channels than positions, and fewer: the run decides by which the vector is found."""
    model = classifier(("n", 3, "h", "w"))
    rewritten = onnxcam.rewrite(model, method=method, layer="features")
    x = pictures(2, side=2 * side)
    found = Runner(rewritten).run({"image": x})
    fixed = onnxcam.rewrite(classifier((2, 3, 2 * side, 2 * side)), method=method, layer="features")
    wanted = Runner(fixed).run({"image": x})["cam"]
    assert wanted.shape == (2, 1, side, side)
    close(found["cam"], wanted)


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
@pytest.mark.parametrize("method", FORMULAS)
def test_opsets(method: str, opset: int) -> None:
    x = pictures()
    found = onnxcam.Explainer(classifier(opset=opset), method=method).run(x, target=0)["raw"]
    close(found, onnxcam.Explainer(classifier(), method=method).run(x, target=0)["raw"])


@pytest.mark.parametrize("method", FORMULAS)
def test_no_gradient_is_taken_where_none_is_needed(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a layer in front of operators without derivatives can be looked at."""
    taken: list[Any] = []

    def differentiate(*what: Any) -> dict[str, gs.Tensor]:
        taken.append(what)
        return engine.differentiate(*what)

    monkeypatch.setattr("onnxcam.methods.scene.differentiate", differentiate)
    onnxcam.rewrite(classifier(), method=method)
    assert bool(taken) == ("gradient" in find_method(method).needs)


@pytest.mark.parametrize("method", FORMULAS)
def test_half_precision_models(method: str) -> None:
    model = as_float16(classifier())
    x = pictures()
    found = onnxcam.Explainer(model, method=method).run(x.astype(np.float16), target=0)["raw"]
    wanted = onnxcam.Explainer(classifier(), method=method).run(x, target=0)["raw"]
    assert found.dtype == np.float32
    if method != "fem":  # a place at the edge of two deviations goes either way
        np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())


@pytest.mark.parametrize("method", FORMULAS)
def test_an_empty_picture_gives_an_empty_map(method: str) -> None:
    explainer = onnxcam.Explainer(gap_linear(weights(CLASSES, 3)), method=method, layer="features")
    assert not explainer.run(np.zeros((1, 3, 4, 4), np.float32), target=0)["raw"].any()


def test_a_faded_gradient_still_shows() -> None:
    """1e-12 times the weights is 1e-12 times the map, though its squares are no numbers."""
    w, x = weights(CLASSES, 3), pictures(side=4)
    for method in ("eigengradcam", "segeigencam"):
        strong, faint = (
            onnxcam.Explainer(gap_linear(w * scale), method=method, layer="features")
            for scale in (1, 1e-25)
        )
        wanted = strong.run(x, target=0)["raw"]
        close(faint.run(x, target=0)["raw"] * np.float32(1e25), wanted)


def test_channels_of_one_kind_give_their_own_pattern() -> None:
    """Where all channels are multiples of one pattern, it is the first component."""
    pattern = np.random.default_rng(0).uniform(0, 1, (4, 4)).astype(np.float32)
    x = np.stack([pattern, 2 * pattern, 2 * pattern])[None]
    raw = onnxcam.Explainer(gap_linear(weights(CLASSES, 3)), "eigencam", "features").run(x)["raw"]
    np.testing.assert_allclose(raw[0, 0], 3 * (pattern - pattern.mean()), atol=1e-5)


def test_parameters() -> None:
    layout = LAYOUTS["NCHW, pooled"]
    x = layout.x(2)
    a, _ = watched(layout, x, 0)
    for method, parameters, wanted in (
        ("fem", {"k": 1.0}, unusual(a, 1)),
        ("kpcacam", {"gamma": 0.5}, kernel_component(a, 0.5)),
        ("random", {"seed": 7}, random(a, 7)),
    ):
        explainer = onnxcam.Explainer(layout.make(), method, layout.layer, **parameters)
        close(explainer.run(x, target=0)["raw"][:, 0], wanted.reshape(-1, *layout.size))


@pytest.mark.parametrize(
    ("method", "parameters", "words"),
    [
        ("fem", {"k": -1}, "k -1"),
        ("fem", {"k": float("nan")}, "k nan"),
        ("kpcacam", {"gamma": 0}, "gamma 0"),
        ("random", {"seed": -1}, "seed -1"),
        ("random", {"seed": 1.5}, "seed 1.5"),
    ],
)
def test_parameters_that_mean_nothing(method: str, parameters: dict, words: str) -> None:
    with pytest.raises(MethodError, match=words):
        find_method(method, **parameters)
