"""Score-CAM, SS-CAM and IS-CAM, recomputed with NumPy and OpenCV from runs one by one."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
from builders import channels_last, classifier, gap_linear, vit_like
from graphs import CLASSES, SIDE, pictures
from methods.search.rerunning import logits_of, values_of

import onnxcam
from onnxcam.interpolation import enlarged
from onnxcam.methods.search.scorecam import with_axes


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()


def corners(channel: np.ndarray, side: int) -> np.ndarray:
    """A channel (h, w) interpolated so that its corners stay in the corners."""
    rows = np.linspace(0, channel.shape[0] - 1, side)
    columns = np.linspace(0, channel.shape[1] - 1, side)
    along = np.stack([np.interp(rows, np.arange(len(c)), c) for c in channel.T], axis=1)
    return np.stack([np.interp(columns, np.arange(len(r)), r) for r in along])


def unit(mask: np.ndarray) -> np.ndarray:
    raised = mask - mask.min()
    return raised / (raised.max() + 1e-8)


def numpy_scorecam(model: onnx.ModelProto, x: np.ndarray, maps: np.ndarray, k: int) -> np.ndarray:
    """Score-CAM of one NCHW picture from its maps (C, h, w)."""
    masks = np.stack([unit(corners(channel, x.shape[-1])) for channel in maps])
    scores = logits_of(model, (x * masks[:, None]).astype(np.float32))[:, k]
    return np.maximum(np.tensordot(softmax(scores), maps, 1), 0)


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("layer", ["features", "conv2"])
def test_scorecam(batch: int | str, layer: str) -> None:
    model, x = classifier((batch, 3, SIDE, SIDE)), pictures(1, seed=3)
    maps = values_of(model, [layer], x)[layer][0]
    answer = onnxcam.Explainer(model, "scorecam", layer=layer).run(x, top=2)
    for k, index in enumerate(answer["target"][0]):
        expected = numpy_scorecam(model, x, maps, index)
        np.testing.assert_allclose(answer["raw"][0, k], expected, rtol=1e-4, atol=1e-6)


def test_scorecam_of_tokens_leaves_the_class_token_out() -> None:
    model, x = vit_like(), pictures(1, seed=3)
    maps = values_of(model, ["normed"], x)["normed"][0, 1:].T.reshape(8, 4, 4)
    raw = onnxcam.Explainer(model, "scorecam", layer="normed").run(x, target=1)["raw"][0, 0]
    np.testing.assert_allclose(raw, numpy_scorecam(model, x, maps, 1), rtol=1e-4, atol=1e-6)


def test_scorecam_of_a_channels_last_picture() -> None:
    model, x = channels_last(), pictures(1, seed=3)
    last = x.transpose(0, 2, 3, 1).copy()
    maps = values_of(model, ["conv1"], last)["conv1"][0]
    masks = np.stack([unit(corners(channel, SIDE)) for channel in maps])
    scores = logits_of(model, (last * masks[..., None]).astype(np.float32))[:, 2]
    expected = np.maximum(np.tensordot(softmax(scores), maps, 1), 0)
    raw = onnxcam.Explainer(model, "scorecam", layer="conv1").run(last, target=2)["raw"][0, 0]
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


def test_several_targets_and_pictures_at_once() -> None:
    model, x = classifier(("n", 3, SIDE, SIDE)), pictures(2)
    explainer = onnxcam.Explainer(model, "scorecam")
    together = explainer.run(x, top=CLASSES)
    for n, row in enumerate(together["target"]):
        for k, index in enumerate(row):
            alone = explainer.run(x[n : n + 1], target=int(index))["raw"][0, 0]
            np.testing.assert_allclose(together["raw"][n, k], alone, rtol=1e-4, atol=1e-6)


def test_constant_channels_count_as_empty_masks() -> None:
    """Three channels: constant, zero, varying. The first two score what the empty picture does."""
    model = gap_linear(np.array([[1.0, -2.0, 3.0], [0.5, 1.0, -1.0]]), bias=np.array([0.3, 0.0]))
    x = np.stack([np.full((4, 4), 0.7), np.zeros((4, 4)), np.arange(16.0).reshape(4, 4)])
    x = x[None].astype(np.float32)
    scores = np.array([0.3, 0.3, 0.3])
    mask = x[0, 2] / 15
    scores[2] += (mask * (0.7 + 3 * x[0, 2])).mean()
    expected = np.tensordot(softmax(scores), x[0], 1)
    raw = onnxcam.Explainer(model, "scorecam", layer="features").run(x, target=0)["raw"][0, 0]
    np.testing.assert_allclose(raw, expected, rtol=1e-5)


def torchcam_maps(maps: np.ndarray) -> np.ndarray:
    return np.stack([cv2.resize(unit(m), (SIDE, SIDE), interpolation=1) for m in maps])


def test_iscam() -> None:
    model, x = classifier(), pictures(1, seed=3)
    maps = values_of(model, ["conv2"], x)["conv2"][0]
    masks = torchcam_maps(maps)[:, None]
    factors = [sum(j / 4 for j in range(1, i + 1)) for i in range(1, 5)]
    scores = np.mean([logits_of(model, (x * c * masks).astype(np.float32)) for c in factors], 0)
    expected = np.maximum(np.tensordot(softmax(scores[:, 1]), maps, 1), 0)
    explainer = onnxcam.Explainer(model, "iscam", layer="conv2", num_samples=4)
    raw = explainer.run(x, target=1)["raw"][0, 0]
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


def test_sscam_is_a_mean_over_noisy_masks() -> None:
    """The noise is NumPy's, drawn from the seed, sample by sample."""
    model, x = classifier(), pictures(1, seed=3)
    maps = values_of(model, ["conv2"], x)["conv2"][0]
    masks, rng = torchcam_maps(maps), np.random.default_rng(7)
    noisy = [masks + 0.5 * rng.standard_normal(masks.shape, np.float32) for _ in range(3)]
    scores = [logits_of(model, (x * mask[:, None]).astype(np.float32)) for mask in noisy]
    expected = np.maximum(np.tensordot(softmax(np.mean(scores, 0)[:, 1]), maps, 1), 0)
    options = {"num_samples": 3, "std": 0.5, "seed": 7}
    explainer = onnxcam.Explainer(model, "sscam", layer="conv2", **options)
    raw = explainer.run(x, target=1)["raw"][0, 0]
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(raw, explainer.run(x, target=1)["raw"][0, 0])
    other = onnxcam.Explainer(model, "sscam", layer="conv2", num_samples=3, std=0.5, seed=8)
    assert np.abs(other.run(x, target=1)["raw"][0, 0] - raw).max() > 1e-4


def test_sscam_without_noise_and_iscam_with_one_step_are_score_cams_of_each_other() -> None:
    model, x = classifier(), pictures(1)
    quiet = onnxcam.Explainer(model, "sscam", num_samples=1, std=0).run(x)["raw"]
    np.testing.assert_allclose(
        quiet, onnxcam.Explainer(model, "iscam", num_samples=1).run(x)["raw"], rtol=1e-5
    )


def test_masks_of_fewer_axes_are_the_same_along_the_first() -> None:
    row = np.arange(4, dtype=np.float32)[None]
    found = enlarged(with_axes(row, 2), (3, 4))
    np.testing.assert_array_equal(found, np.broadcast_to(row, (1, 3, 4)))
