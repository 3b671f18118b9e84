"""Occlusion and RISE, recomputed from runs one by one."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
from builders import channels_last, classifier, ended_with, gap_linear
from graphs import CLASSES, SIDE, Build, pictures
from methods.search.rerunning import logits_of

import onnxcam
from onnxcam.errors import LayerError, MethodError


def numpy_occlusion(
    model: onnx.ModelProto,
    x: np.ndarray,
    window: tuple[int, int],
    stride: tuple[int, int],
    baseline: float,
) -> np.ndarray:
    """Mean loss over the windows at a pixel, NCHW, for all classes, (CLASSES, H, W)."""
    height, width = x.shape[2:]
    total, count = np.zeros((CLASSES, height, width)), np.zeros((height, width))
    score = logits_of(model, x)[0]
    top = 0
    while True:
        left = 0
        while True:
            hidden = x.copy()
            hidden[:, :, top : top + window[0], left : left + window[1]] = baseline
            loss = score - logits_of(model, hidden)[0]
            total[:, top : top + window[0], left : left + window[1]] += loss[:, None, None]
            count[top : top + window[0], left : left + window[1]] += 1
            if left + window[1] >= width:
                break
            left += stride[1]
        if top + window[0] >= height:
            break
        top += stride[0]
    return total / count


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize(
    ("window", "stride", "baseline"),
    [((5, 7), (3, 4), 0.5), ((4, 4), (4, 4), 0.0), ((6, 16), (5, 9), -1.0)],
)
def test_occlusion(
    batch: int | str, window: tuple[int, int], stride: tuple[int, int], baseline: float
) -> None:
    model, x = classifier((batch, 3, SIDE, SIDE)), pictures(1, seed=4)
    expected = numpy_occlusion(model, x, window, stride, baseline)
    options = {"window": window, "stride": stride, "baseline": baseline}
    answer = onnxcam.Explainer(model, "occlusion", **options).run(x, top=CLASSES)
    for k, index in enumerate(answer["target"][0]):
        np.testing.assert_allclose(answer["raw"][0, k], expected[index], rtol=1e-3, atol=1e-5)


def test_one_number_serves_all_axes_and_a_window_is_no_larger_than_the_picture() -> None:
    model, x = classifier(), pictures(1)
    square = onnxcam.Explainer(model, "occlusion", window=(6, 6), stride=(4, 4)).run(x)["raw"]
    np.testing.assert_array_equal(
        square, onnxcam.Explainer(model, "occlusion", window=6, stride=4).run(x)["raw"]
    )
    whole = onnxcam.Explainer(model, "occlusion", window=99, stride=4).run(x, target=1)["raw"]
    loss = logits_of(model, x)[0, 1] - logits_of(model, np.zeros_like(x))[0, 1]
    np.testing.assert_allclose(whole, np.full_like(whole, loss), rtol=1e-4)


def test_occlusion_of_single_pixels_of_a_linear_model_is_input_times_gradient() -> None:
    w = np.array([[1.0, -2.0, 0.5], [-1.0, 1.0, 3.0]])
    model, x = gap_linear(w), np.abs(pictures(1, side=4))
    answer = onnxcam.Explainer(model, "occlusion", window=1, stride=1).run(x, target=1)
    np.testing.assert_allclose(answer["raw"][0, 0], np.tensordot(w[1], x[0], 1) / 16, atol=1e-5)


def test_channels_last_pictures_are_hidden_in_the_same_places() -> None:
    x = pictures(1, seed=4)
    model = channels_last()
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    hidden = last.copy()
    hidden[:, 0:8, 8:16] = 0
    loss = logits_of(model, last)[0] - logits_of(model, hidden)[0]
    answer = onnxcam.Explainer(model, "occlusion", window=8, stride=8).run(last, target=2)
    np.testing.assert_allclose(answer["raw"][0, 0, 0:8, 8:16], loss[2], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"window": 0},
        {"stride": 0},
        {"window": 4, "stride": 5},
        {"window": (4, 4, 4), "stride": (2, 2)},
    ],
)
def test_impossible_windows(options: dict[str, object]) -> None:
    with pytest.raises(MethodError):
        onnxcam.Explainer(classifier(), "occlusion", **options)


def test_a_window_of_other_axes_than_the_picture() -> None:
    explainer = onnxcam.Explainer(classifier(), "occlusion", window=(4, 4, 4), stride=2)
    with pytest.raises(MethodError, match="one for each"):
        explainer.run(pictures(1))


@pytest.mark.parametrize("name", ["occlusion", "rise"])
def test_a_layer_is_of_no_use(name: str) -> None:
    with pytest.raises(LayerError, match="leave the layer out"):
        onnxcam.Explainer(classifier(), name, layer="features").run(pictures(1))


def brightness(probability: bool) -> onnx.ModelProto:
    """Two classes that score the mean of the left and of the right half of the picture."""
    b = Build((1, 1, 8, 8))
    halves = np.zeros((64, 2), np.float32)
    halves[:, 0] = np.tile(np.repeat([1, 0], 4), 8) / 32
    halves[:, 1] = np.tile(np.repeat([0, 1], 4), 8) / 32
    b.weight("halves", halves)
    b.op("Flatten", ["image"], "flat")
    b.op("MatMul", ["flat", "halves"], "logits")
    if probability:
        b.op("Softmax", ["logits"], "scores", axis=1)
    b.output("scores" if probability else "logits", [1, 2])
    return b.model()


def test_rise_finds_the_half_that_counts() -> None:
    x = np.full((1, 1, 8, 8), 3, np.float32)
    raw = onnxcam.Explainer(brightness(True), "rise", samples=600, cells=4).run(x, top=2)
    left, right = (raw["raw"][0, list(raw["target"][0]).index(k)] for k in (0, 1))
    assert left[:, :3].mean() > left[:, 5:].mean() + 0.02
    assert right[:, 5:].mean() > right[:, :3].mean() + 0.02
    # probabilities add up to 1: so do what pixels can expect, up to how often they were seen
    np.testing.assert_allclose((left + right).mean(), 1, atol=0.03)


def test_rise_is_the_mean_of_masks_weighted_by_the_probability() -> None:
    model, x = ended_with("Softmax"), pictures(1, seed=5)
    raw = onnxcam.Explainer(model, "rise", samples=40, cells=3, probability=0.3, seed=2).run(
        x, target=1
    )["raw"][0, 0]
    rng, total = np.random.default_rng(2), np.zeros((SIDE, SIDE))
    for _ in range(40):
        grid = (rng.random((3, 3)) < 0.3).astype(np.float32)
        cell = -(-SIDE // 3)
        top, left = int(rng.integers(cell)), int(rng.integers(cell))
        large = cv2.resize(grid, (4 * cell, 4 * cell), interpolation=cv2.INTER_LINEAR)
        mask = large[top : top + SIDE, left : left + SIDE]
        p = logits_of(model, (x * mask).astype(np.float32), "activated")[0, 1]
        total += p * mask
    np.testing.assert_allclose(raw, total / 40 / 0.3, rtol=1e-3, atol=1e-5)


def test_rise_says_the_same_twice_and_something_else_for_another_seed() -> None:
    model, x = classifier(), pictures(1)
    explainer = onnxcam.Explainer(model, "rise", samples=50)
    first = explainer.run(x)["raw"]
    np.testing.assert_array_equal(first, explainer.run(x)["raw"])
    other = onnxcam.Explainer(model, "rise", samples=50, seed=1).run(x)["raw"]
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize(
    "options", [{"samples": 0}, {"cells": 0}, {"probability": 0.0}, {"probability": 1.0}]
)
def test_impossible_masks(options: dict[str, float]) -> None:
    with pytest.raises(MethodError):
        onnxcam.Explainer(classifier(), "rise", **options)
