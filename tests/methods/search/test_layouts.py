"""Searches at layers of every layout, recomputed from heads and models run one by one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from graphs import CLASSES
from methods.gradient.layouts import LAYOUTS, Layout
from methods.search.rerunning import logits_behind, logits_of, values_of

import onnxcam

EACH = pytest.mark.parametrize("name", LAYOUTS)


@cache
def seen(name: str) -> tuple[Layout, np.ndarray, np.ndarray, np.ndarray]:
    """A layout, one picture, its activations, and the latter flat, (C, positions)."""
    layout = LAYOUTS[name]
    x = layout.x(1)
    activations = values_of(layout.make(), [layout.layer], x)[layout.layer]
    return layout, x, activations, layout.flat(activations)[0]


def explained(name: str, method: str) -> np.ndarray:
    """The maps (CLASSES, positions) in the order of the classes, by one search for all."""
    layout, x, _, _ = seen(name)
    answer = onnxcam.Explainer(layout.make(), method, layer=layout.layer).run(x, top=CLASSES)
    raw = answer["raw"][0][np.argsort(answer["target"][0])]
    assert raw.shape == (CLASSES, *layout.size)
    assert raw.dtype == np.float32
    return raw.reshape(CLASSES, -1)


@EACH
def test_ablationcam(name: str) -> None:
    layout, x, activations, flat = seen(name)
    inside = []
    for k in range(len(flat)):
        variant = activations.copy()
        np.moveaxis(variant, layout.channel, 0)[k] = 0
        inside.append({layout.layer: variant})
    score = logits_of(layout.make(), x)[0]
    losses = score - logits_behind(layout.make(), inside)
    expected = np.maximum((losses / score).T @ flat, 0)
    np.testing.assert_allclose(explained(name, "ablationcam"), expected, rtol=2e-3, atol=1e-4)


@EACH
def test_reciprocam(name: str) -> None:
    layout, _, activations, flat = seen(name)
    inside = []
    for position in range(flat.shape[1]):
        alone = np.zeros_like(activations)
        if layout.prefix:  # tokens
            kept = [*range(layout.prefix), layout.prefix + position]
            alone[:, kept] = activations[:, kept]
        else:
            at = np.zeros(layout.size, bool)
            at.flat[position] = True
            arranged = (0, layout.channel, *layout.spatial)
            alone.transpose(arranged)[..., at] = activations.transpose(arranged)[..., at]
        inside.append({layout.layer: alone})
    expected = logits_behind(layout.make(), inside).T
    np.testing.assert_allclose(explained(name, "reciprocam"), expected, rtol=1e-3, atol=1e-5)


@EACH
def test_scorecam(name: str) -> None:
    layout, x, _, flat = seen(name)
    masks = flat.reshape(-1, *layout.size)
    for axis, pixels in enumerate(layout.shape[1:], start=1):
        old = np.arange(masks.shape[axis])
        new = np.linspace(0, len(old) - 1, pixels)
        masks = np.apply_along_axis(lambda row, n=new, o=old: np.interp(n, o, row), axis, masks)
    axes = tuple(range(1, masks.ndim))
    masks = masks - masks.min(axes, keepdims=True)
    masks = masks / (masks.max(axes, keepdims=True) + 1e-8)
    scores = logits_of(layout.make(), (x * masks[:, None]).astype(np.float32))
    raised = np.exp(scores - scores.max(0))
    expected = np.maximum((raised / raised.sum(0)).T @ flat, 0)
    np.testing.assert_allclose(explained(name, "scorecam"), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["NCW", "NCDHW"])
def test_occlusion_of_signals_and_volumes(name: str) -> None:
    """One window at a time, as long as the stride: each pixel has the loss of its window."""
    layout, x, _, _ = seen(name)
    explainer = onnxcam.Explainer(layout.make(), "occlusion", window=4, stride=4)
    raw = explainer.run(x, target=1)["raw"][0, 0]
    assert raw.shape == layout.shape[1:]
    hidden = x.copy()
    corner = (slice(4),) * (x.ndim - 2)
    hidden[(slice(None), slice(None), *corner)] = 0
    loss = logits_of(layout.make(), x)[0, 1] - logits_of(layout.make(), hidden)[0, 1]
    np.testing.assert_allclose(raw[corner], loss, rtol=1e-3, atol=1e-5)
