"""Detectors whose levels are outputs of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from targets.boxes.detectors import BATCH, CLASSES, SIDE, batch
from targets.boxes.gradients import require_gradient_of_rows
from targets.boxes.levels import BINS, GRIDS, KNOWN, UNKNOWN, Levels, found, joined
from targets.boxes.reference import overlap
from targets.numbers import Numbers

import onnxcam
from onnxcam.errors import TargetError
from onnxcam.graph.detections import find_detections
from onnxcam.graph.network import Network
from onnxcam.outputs import BOX
from onnxcam.runtime import Runner
from onnxcam.targets import Box
from onnxcam.targets.usual import to_know

COUNT = 3
FORMS = KNOWN | UNKNOWN

forms = pytest.mark.parametrize("form", FORMS)


@forms
def test_the_best_detections_are_found(form: str) -> None:
    model = FORMS[form]()
    onnx.checker.check_model(model, full_check=True)
    x = batch(2, model)
    expected = found(form, model, x)
    answer = Numbers(model, Box.best(COUNT), x).answer()
    for n in range(2):
        for k, (row, cls) in enumerate(expected.detections(n)[:COUNT]):
            assert answer["cam_row/chosen"][n, k] == row
            assert answer["cam_target"][n, k] == cls
            np.testing.assert_allclose(answer[BOX][n, k], expected.boxes[n, row], 1e-4, 1e-4)
            p = answer["cam_probability"][n, k]
            np.testing.assert_allclose(p, expected.sure[n, row, cls], 1e-4, 1e-4)
            score = answer["cam_score"][n, k]
            np.testing.assert_allclose(score, expected.scores[n, row, cls], 1e-4, 1e-4)


@forms
def test_the_gradient_is_that_of_the_score(form: str) -> None:
    require_gradient_of_rows(FORMS[form](), "score")


@pytest.mark.parametrize("form", KNOWN)
@pytest.mark.parametrize("what", ["x1", "height", "area"])
def test_the_gradient_is_that_of_the_place(form: str, what: str) -> None:
    require_gradient_of_rows(KNOWN[form](), what)


@forms
def test_the_layer_is_the_last_that_all_levels_share(form: str) -> None:
    model = FORMS[form]()
    assert onnxcam.find_layers(model)[0].name == "features"
    raw = onnxcam.Explainer(model, method="hirescam").run(batch(2, model), top=2)["raw"]
    assert raw.shape == (2, 2, GRIDS[0], GRIDS[0])
    assert raw.any(axis=(2, 3)).all()


def test_the_layer_is_shared_though_scores_end_before_boxes() -> None:
    """The boxes of the last level are all that is left to do then, but not all that there is."""
    b = Levels()
    for level, grid in enumerate(GRIDS):
        b.give(b.head("cls", CLASSES, level), [CLASSES, grid, grid])
    for level, grid in enumerate(GRIDS):
        b.op("Tanh", [b.conv(b.maps[level], f"mixed{level}", (6, 6, 3, 3))], f"bent{level}")
        b.conv(f"bent{level}", f"dist{level}", (4 * BINS, 6, 1, 1))
        b.give(f"dist{level}", [4 * BINS, grid, grid])
    assert onnxcam.find_layers(b.model())[0].name == "features"


@pytest.mark.parametrize("form", UNKNOWN)
def test_the_size_of_anchors_is_not_in_the_file(form: str) -> None:
    explainer = onnxcam.Explainer(UNKNOWN[form]())
    with pytest.raises(TargetError, match="anchors are not in the file"):
        explainer.run(batch(1), target=Box(what="width"))
    assert "box is unknown" in to_know(Box(), explainer.network)[0]
    assert not to_know(Box(), Network(joined()))


@pytest.mark.parametrize("form", UNKNOWN)
def test_a_place_holds_the_middles_of_cells(form: str) -> None:
    """Of the candidates whose cells lie in it, it is the surest."""
    model = UNKNOWN[form]()
    x = batch(1, model)
    expected = found(form, model, x)
    place = np.array([9.0, 5.0, 31.0, 23.0], np.float32)
    middles = (expected.boxes[0, :, :2] + expected.boxes[0, :, 2:]) / 2
    inside = ((middles > place[:2]) & (middles < place[2:])).all(1)
    best = np.argmax(np.where(inside, expected.sure[0].max(1), 0))
    runner = Runner(onnxcam.rewrite(model, method="hirescam"))
    box = runner.run({"image": x, "cam_place": place[None, None]})["cam_box"][0, 0]
    assert overlap(box, expected.boxes[0, best]) == pytest.approx(1)


def test_a_rewritten_file_keeps_its_outputs() -> None:
    model, x = joined(), batch(2)
    rewritten = onnxcam.rewrite(model, method="hirescam", top=2)
    onnx.checker.check_model(rewritten, full_check=True)
    answer = Runner(rewritten).run({"image": x})
    for name, value in Runner(model).run({"image": x}).items():
        np.testing.assert_array_equal(answer[name], value)
    assert answer["cam_box"].shape == (2, 2, 4)


def _two(first: int, second: int, names: tuple[str, str]) -> onnx.ModelProto:
    b = Levels()
    for level, grid in enumerate(GRIDS):
        for name, count in zip(names, (first, second), strict=True):
            b.give(b.head(name, count, level), [count, grid, grid])
    return b.model()


def test_names_tell_boxes_from_scores() -> None:
    """64 channels of each: distributions, or a score for each of 64 classes."""
    assert find_detections(Network(_two(64, 64, ("p", "q")))) is None
    for names in (("box", "cls"), ("cls", "box")):
        detected = find_detections(Network(_two(64, 64, names)))
        assert detected is not None
        read = {t.name[:3] for t in detected.tensors[:1]}
        assert read == {"cls"}


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (lambda: _two(64, 64, ("p", "q")), "which of the 64, 64 channels .* is ambiguous"),
        (lambda: _two(24, 24, ("cls", "box")), "whether a Sigmoid or a Softmax"),
    ],
)
def test_what_is_ambiguous_is_said(model: Callable[[], onnx.ModelProto], error: str) -> None:
    with pytest.raises(TargetError, match=error):
        onnxcam.Explainer(model()).run(batch(1), target="box")


def pyramid_of_features() -> onnx.ModelProto:
    b = Levels()
    for level, grid in enumerate(GRIDS):
        b.conv(b.maps[level], f"mixed{level}", (24, 6, 3, 3))
        b.give(b.op("Relu", [f"mixed{level}"], f"p{level}"), [24, grid, grid])
    return b.model()


def masks_at_two_sizes() -> onnx.ModelProto:
    b = Levels()
    for level, grid in enumerate(GRIDS):
        b.give(b.head("masks", CLASSES, level), [CLASSES, grid, grid])
    return b.model()


@pytest.mark.parametrize("make", [pyramid_of_features, masks_at_two_sizes])
def test_other_pyramids_are_no_detectors(make: Callable[[], onnx.ModelProto]) -> None:
    assert find_detections(Network(make())) is None


def test_masks_beside_the_levels_are_left_aside() -> None:
    b = Levels()
    for level, grid in enumerate(GRIDS):
        b.give(b.head("dist", 4 * BINS, level), [4 * BINS, grid, grid])
        b.give(
            b.op("Sigmoid", [b.head("logit", CLASSES, level)], f"s{level}"), [CLASSES, grid, grid]
        )
    b.conv("tanh1", "prototypes", (8, 6, 1, 1))
    b.output("prototypes", [BATCH, 8, SIDE // 2, SIDE // 2])
    detected = find_detections(Network(b.model()))
    assert detected is not None
    assert detected.classes == CLASSES
