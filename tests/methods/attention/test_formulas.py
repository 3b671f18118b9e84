"""Rollout, Chefer's relevance and LeGrad: whole matrices in NumPy against what is emitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from graphs import CLASSES
from vision_transformers import HEADS, Transformer

import onnxcam
from onnxcam.runtime import Runner

Arrays = list[np.ndarray]

READS = {
    "class token": Transformer(),
    "class and distillation token": Transformer(prefix=2, read="prefix"),
    "class token before registers": Transformer(prefix=4),
    "patches behind registers": Transformer(prefix=3, read="patches"),
    "all tokens": Transformer(prefix=1, read="all"),
    "patches alone": Transformer(prefix=0, read="all"),
    "a pooling attention": Transformer(prefix=1, read="pooled"),
}
ROWS = {"first": slice(0, 1), "all": slice(None), "pooled": slice(None)}


def pictures(what: Transformer, count: int = 2) -> np.ndarray:
    shape = (count, 3, *what.size)
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def seen(what: Transformer, x: np.ndarray, target: int) -> tuple[Arrays, Arrays]:
    """Probabilities (N, heads, T, T) of each attention and a logit's gradients to them."""
    model = what.model()
    pick = onnx.numpy_helper.from_array(np.eye(CLASSES, dtype=np.float32)[target], "pick")
    model.graph.initializer.append(pick)
    model.graph.node.append(onnx.helper.make_node("Mul", ["logits", "pick"], ["picked"]))
    names = [f"block{k}.attention" for k in range(what.depth)]
    names += ["pool.attention"] if what.read == "pooled" else []
    for name in ("picked", *names):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
    answer = Runner(onnxcam.append_gradients(model, of="picked", wrt=names)).run({"image": x})
    shown = [answer[name] for name in names]
    gradients = [answer[f"{name}_grad"] for name in names]
    if what.read == "pooled":  # of one head, so it has no axis for it
        shown[-1], gradients[-1] = (values[-1][:, None] for values in (shown, gradients))
    return shown, gradients


def rows(what: Transformer) -> slice:
    if what.read == "prefix":
        return slice(0, what.prefix)
    return slice(what.prefix, None) if what.read == "patches" else ROWS[what.read]


def in_picture(what: Transformer, row: np.ndarray) -> np.ndarray:
    """(N, T) on the grid, without the tokens in front of it."""
    return row[:, what.prefix :].reshape(len(row), *what.grid)


def read_row(what: Transformer, product: np.ndarray, pool: list[np.ndarray]) -> np.ndarray:
    if pool:
        return (pool[0] @ product)[:, 0]
    return product[:, rows(what)].mean(axis=1)


def raw(what: Transformer, x: np.ndarray, target: int, method: str, **how: Any) -> np.ndarray:
    explainer = onnxcam.Explainer(what.model(), method=method, **how)
    found = explainer.run(x, target=target)["raw"]
    assert found.dtype == np.float32
    assert found.shape == (len(x), 1, *what.grid)
    return found[:, 0]


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("name", READS)
def test_rollout(name: str, fusion: str) -> None:
    what = READS[name]
    x = pictures(what)
    shown, _ = seen(what, x, 0)
    fused = [getattr(values.astype(np.float64), fusion)(axis=1) for values in shown]
    pool = fused[what.depth :]
    product = np.eye(what.tokens)
    for attention in fused[: what.depth]:
        mixed = attention / 2 + np.eye(what.tokens) / 2
        product = mixed / mixed.sum(axis=-1, keepdims=True) @ product
    expected = in_picture(what, read_row(what, product, pool))
    found = raw(what, x, 0, "rollout", fusion=fusion)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("discard", [0.3, 0.9])
def test_rollout_leaves_out_the_smallest(discard: float) -> None:
    what = Transformer()
    x = pictures(what)
    shown, _ = seen(what, x, 0)
    product = np.eye(what.tokens)
    for values in shown:
        attention = values.mean(axis=1)
        for one in attention:
            own = one[0, 0]
            order = np.argsort(one, axis=None)[: int(one.size * discard)]
            one.flat[order] = 0
            one[0, 0] = own
        mixed = attention + np.eye(what.tokens)
        product = mixed / mixed.sum(axis=-1, keepdims=True) @ product
    expected = in_picture(what, product[:, 0])
    found = raw(what, x, 0, "rollout", discard=discard)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", READS)
def test_chefer(name: str) -> None:
    what = READS[name]
    x = pictures(what)
    shown, gradients = seen(what, x, 3)
    pairs = zip(shown, gradients, strict=True)
    weighted = [np.maximum(a.astype(np.float64) * g, 0).mean(axis=1) for a, g in pairs]
    product = np.eye(what.tokens)
    for attention in weighted[: what.depth]:
        product = product + attention @ product
    expected = in_picture(what, read_row(what, product, weighted[what.depth :]))
    found = raw(what, x, 3, "chefer")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize("last", [None, 1, 2, 9])
@pytest.mark.parametrize("name", READS)
def test_legrad_scores_a_layer_as_the_network_cut_behind_it(name: str, last: int | None) -> None:
    what = replace(READS[name], depth=3)
    x = pictures(what)
    maps = []
    for depth in range(1, what.depth + 1):
        _, gradients = seen(replace(what, depth=depth), x, 2)
        maps.append(np.maximum(gradients[depth - 1], 0).mean(axis=(1, 2)))
    kept = maps if last is None else maps[-last:]
    expected = in_picture(what, np.mean(kept, axis=0))
    found = raw(what, x, 2, "legrad", last=last)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * expected.max())


# -- every form -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["rollout", "chefer", "legrad"])
@pytest.mark.parametrize(
    ("form", "opset"),
    [
        ("heads", 11),
        ("batched", 11),
        ("batched", 18),
        ("microsoft", 18),
        ("packed", 18),
        ("onnx", 23),
    ],
)
def test_every_form_gives_the_same(form: str, opset: int, method: str) -> None:
    what = Transformer()
    x = pictures(what, 3)
    expected = raw(what, x, 1, method)
    for batch in ("n", 3):
        found = raw(replace(what, form=form, opset=opset, batch=batch), x, 1, method)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize("read", ["first", "all", "pooled"])
@pytest.mark.parametrize("norm", ["skip", "moments"])
@pytest.mark.parametrize("method", ["rollout", "chefer", "legrad"])
def test_every_form_of_normalisation_gives_the_same(method: str, norm: str, read: str) -> None:
    what = Transformer(depth=3, read=read, norm="layer", opset=17)
    x = pictures(what)
    expected = raw(what, x, 1, method)
    found = raw(replace(what, norm=norm), x, 1, method)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("method", ["rollout", "chefer", "legrad"])
@pytest.mark.parametrize("form", ["heads", "batched", "microsoft"])
@pytest.mark.parametrize("read", ["first", "all", "pooled"])
def test_several_targets_at_once(read: str, form: str, method: str) -> None:
    what = Transformer(form=form, read=read)
    x = pictures(what)
    explainer = onnxcam.Explainer(what.model(), method=method)
    together = explainer.run(x, top=3)
    assert together["raw"].shape == (2, 3, *what.grid)
    for k in range(3):
        alone = explainer.run(x, target=together["target"][:, k].tolist())["raw"]
        scale = 1e-6 * alone.max()
        np.testing.assert_allclose(together["raw"][:, k : k + 1], alone, rtol=1e-5, atol=scale)


@pytest.mark.parametrize("method", ["rollout", "chefer", "legrad"])
def test_a_probability_is_explained_too(method: str) -> None:
    what = Transformer()
    x = pictures(what)
    found = raw(what, x, 1, method, score="probability")
    assert np.isfinite(found).all()
    assert found.max() > found.min()


def test_the_layers_are_the_attentions() -> None:
    explainer = onnxcam.Explainer(Transformer(read="pooled").model(), method="chefer")
    names = ["block0.attention", "block1.attention", "pool.attention"]
    assert [layer.name for layer in explainer.layers] == names
    assert explainer.layers[0].features.tensor.shape[1] == HEADS
