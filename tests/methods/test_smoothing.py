"""Smoothing: six changed pictures, or the first component of weighted activations."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from builders import channels_last, classifier, vgg_like
from click.testing import CliRunner
from graphs import photo, pictures, write_picture
from methods.gradient.layouts import LAYOUTS, watched

import onnxcam
from onnxcam.augmentation import changed
from onnxcam.cli import main
from onnxcam.errors import MethodError, TargetError
from onnxcam.graph.picture import ImageInput
from onnxcam.runtime import Runner
from onnxcam.targets import (
    Box,
    Classes,
    Contrast,
    Held,
    Region,
    Several,
    Similarity,
    Target,
    Value,
)


def heat(raw: np.ndarray, width: int, height: int) -> np.ndarray:
    """A raw map (h, w) as the library scales it: before it is enlarged, and after."""

    def unit(values: np.ndarray) -> np.ndarray:
        raised = values - values.min()
        return np.asarray(raised / (raised.max() or 1))

    return unit(cv2.resize(unit(np.maximum(raw, 0)), (width, height)))


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "eigencam", "shapleycam", "random"])
def test_the_mean_over_six_pictures(method: str) -> None:
    model, x = classifier(("n", 3, 16, 16)), pictures(2)
    plain = onnxcam.Explainer(model, method)
    target = [3, 1]
    total = np.zeros((2, 16, 16))
    for factor in (0.9, 1.0, 1.1):
        for step in (1, -1):
            fed = np.ascontiguousarray(x[..., ::step] * np.float32(factor))
            raw = plain.run(fed, target=target)["raw"][:, 0]
            total += np.stack([heat(one, 16, 16)[:, ::step] for one in raw])
    found = onnxcam.Explainer(model, method, smooth="augment").run(x, target=target)
    assert found["raw"].shape == (2, 1, 16, 16)
    assert found["raw"].dtype == np.float32
    np.testing.assert_allclose(found["raw"][:, 0], total / 6, atol=1e-5)
    np.testing.assert_array_equal(found["logits"], plain.run(x, target=target)["logits"])


def test_all_six_explain_what_the_unchanged_picture_is() -> None:
    plain, explainer = (
        onnxcam.Explainer(vgg_like()),
        onnxcam.Explainer(vgg_like(), smooth="augment"),
    )
    told = 0
    for seed in range(6):
        x = pictures(seed=seed)
        best = plain.run(x)["target"]
        told += plain.run(np.ascontiguousarray(x[..., ::-1]))["target"] != best
        answer = explainer.run(x)
        np.testing.assert_array_equal(answer["target"], best)
        given = explainer.run(x, target=int(best[0, 0]))["raw"]
        np.testing.assert_allclose(answer["raw"], given, atol=1e-6)
    assert told  # else mirrored pictures are of the same class anyway


def test_several_targets_and_channels_last() -> None:
    model, x = channels_last(), pictures(2).transpose(0, 2, 3, 1)
    explainer = onnxcam.Explainer(model, smooth="augment")
    answer = explainer.run(x, top=3)
    for n, k in np.ndindex(2, 3):
        alone = explainer.run(x[[n]], target=int(answer["target"][n, k]))["raw"]
        np.testing.assert_allclose(answer["raw"][n, k], alone[0, 0], atol=1e-5)


def test_a_symmetric_picture_has_a_symmetric_map() -> None:
    x = pictures()
    x = x + x[..., ::-1]
    raw = onnxcam.Explainer(vgg_like(), smooth="augment").run(x)["raw"]
    np.testing.assert_allclose(raw, raw[..., ::-1], atol=1e-6)


def test_whole_numbers_stay_in_their_range() -> None:
    image = ImageInput("image", True, 3, 1, (1, 2), np.dtype(np.uint8))
    x = np.array([[[[0, 105, 250], [1, 2, 3]]]], np.uint8)
    fed = changed({"image": x}, image, True, 1.1)["image"]
    np.testing.assert_array_equal(fed, [[[[1, 2, 3], [0, 116, 255]]]])
    assert fed.dtype == np.uint8


def test_contrasts_are_explained_too() -> None:
    explainer = onnxcam.Explainer(classifier(), smooth="augment")
    assert explainer.run(pictures(), target=Contrast(1, 2))["raw"].shape == (1, 1, 16, 16)


def first_component(weighted: np.ndarray) -> np.ndarray:
    """Of weighted activations (C, positions), with the sign of their sum over channels."""
    points = weighted.T - weighted.T.mean(axis=0)
    scores = points @ np.linalg.svd(points, full_matrices=False)[2][0]
    return np.asarray(scores if scores @ weighted.sum(axis=0) >= 0 else -scores)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_first_component_of_weighted_activations(name: str) -> None:
    layout, target = LAYOUTS[name], 1
    x = layout.x(2)
    a, g = watched(layout, x, target)
    weighted = g.mean(-1, keepdims=True) * a
    explainer = onnxcam.Explainer(layout.make(), layer=layout.layer, smooth="eigen")
    found = explainer.run(x, target=[target] * len(x))["raw"][:, 0]
    assert found.shape == (len(x), *layout.size)
    for one, points in zip(found, weighted, strict=True):
        expected = first_component(points).reshape(layout.size)
        np.testing.assert_allclose(one, expected, atol=2e-3 * np.abs(expected).max())


def test_the_first_component_bakes() -> None:
    made = onnxcam.rewrite(classifier(), "layercam", smooth="eigen", top=2)
    inside = {entry.key: entry.value for entry in made.metadata_props}
    assert inside["onnxcam.smooth"] == "eigen"
    baked = Runner(made).run({"image": pictures()})["cam"]
    explainer = onnxcam.Explainer(classifier(), "layercam", smooth="eigen")
    np.testing.assert_allclose(explainer.run(pictures(), top=2)["raw"], baked, atol=1e-7)


def test_what_cannot_be_smoothed() -> None:
    with pytest.raises(MethodError, match="did you mean 'eigen'"):
        onnxcam.Explainer(classifier(), smooth="eigne")
    with pytest.raises(MethodError, match="sums no weighted activations"):
        onnxcam.Explainer(classifier(), "fem", smooth="eigen")
    with pytest.raises(MethodError, match="six times"):
        onnxcam.rewrite(classifier(), smooth="augment")


def test_a_place_in_the_picture_is_not_mirrored() -> None:
    b = classifier()
    b.graph.output.append(onnx.helper.make_tensor_value_info("features", 1, [1, 8, 8, 8]))
    explainer = onnxcam.Explainer(b, smooth="augment", layer="relu1")
    region = Region(1, mask=np.ones((16, 16), bool), output="features")
    with pytest.raises(TargetError, match="mirrors the picture"):
        explainer.run(pictures(), target=region)


@pytest.mark.parametrize(
    ("target", "placed"),
    [
        (Classes(), False),
        (Contrast(), False),
        (Similarity("picture.png"), False),
        (Value(), True),
        (Region(), True),
        (Box(), True),
        (Several((Classes(), Classes())), False),
        (Several((Region(), Region())), True),
        (Held(Contrast(), {}), False),
        (Held(Box(), {}), True),
    ],
)
def test_which_targets_are_tied_to_a_place(target: Target, placed: bool) -> None:
    assert target.is_placed is placed


def test_on_the_command_line(tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "model.onnx")
    picture = write_picture(tmp_path / "noise.png", photo())
    start = ["explain", str(tmp_path / "model.onnx"), str(picture), "-o", str(tmp_path / "out")]
    for smooth in ("augment", "eigen"):
        answer = CliRunner().invoke(main, [*start, "--smooth", smooth])
        assert answer.exit_code == 0, answer.stderr
    assert CliRunner().invoke(main, [*start, "--smooth", "no"]).exit_code == 2
