"""Every form of detector: the right rows, scores, boxes and gradients."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from targets.boxes.detectors import FORMS, batch, text_lines, yolov8
from targets.boxes.gradients import require_gradient_of_rows
from targets.boxes.reference import found
from targets.networks import classifier, segmentation
from targets.numbers import Numbers

import onnxcam
from onnxcam.errors import TargetError
from onnxcam.graph.detections import find_detections
from onnxcam.graph.network import Network
from onnxcam.outputs import BOX
from onnxcam.targets import Box
from onnxcam.targets.base import Held

COUNT = 3

forms = pytest.mark.parametrize("form", FORMS)


@forms
def test_the_best_detections_are_found(form: str) -> None:
    model = FORMS[form]()
    x = batch(2, model)
    expected = found(form, model, x)
    numbers = Numbers(model, Box.best(COUNT), x)
    answer = numbers.answer()
    for n in range(2):
        for k, (row, cls) in enumerate(expected.detections(n)[:COUNT]):
            assert answer["cam_target"][n, k] == cls
            assert answer["cam_row/chosen"][n, k] == row
            np.testing.assert_allclose(answer[BOX][n, k], expected.boxes[n, row], 1e-4, 1e-4)
            p = answer["cam_probability"][n, k]
            np.testing.assert_allclose(p, expected.sure[n, row, cls], 1e-4, 1e-4)
            score = answer["cam_score"][n, k]
            np.testing.assert_allclose(score, expected.scores[n, row, cls], 1e-4, 1e-4)


@forms
def test_a_rank_is_the_best_ones_entry(form: str) -> None:
    model = FORMS[form]()
    x = batch(2, model)
    several = Numbers(model, Box.best(COUNT), x)
    one = Numbers(model, Box(rank=COUNT - 1), x)
    np.testing.assert_allclose(one.score[:, 0], several.score[:, -1], rtol=1e-5)
    np.testing.assert_allclose(one.gradient[:, 0], several.gradient[:, -1], rtol=1e-3, atol=1e-5)


@forms
@pytest.mark.parametrize("what", ["score", "x1", "height", "area"])
def test_the_gradient_is_that_of_the_row(form: str, what: str) -> None:
    require_gradient_of_rows(FORMS[form](), what)


@pytest.mark.parametrize("form", ["yolov8", "yolov5", "yolox", "detr", "suppressed"])
def test_old_opsets(form: str) -> None:
    new, old = (FORMS[form](opset) for opset in (20, 11))
    x = batch(1, new)
    a, b = (Numbers(model, Box.best(2), x) for model in (new, old))
    assert a.index.tolist() == b.index.tolist()
    np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-3, atol=1e-6)


@forms
def test_the_class_wanted(form: str) -> None:
    model = FORMS[form]()
    x = batch(1, model)
    expected = found(form, model, x)
    for cls in (1, 2):
        row, _ = expected.detections(0, cls)[1]
        answer = Numbers(model, Held(Box(cls, rank=1), {}), x).answer()
        assert answer["cam_target"].tolist() == [[cls]]
        assert answer["cam_row/chosen"].tolist() == [[row]]


@forms
def test_maps_are_made_and_layers_ranked(form: str) -> None:
    model = FORMS[form]()
    layers = onnxcam.find_layers(model)
    assert layers[0].name == "features"
    raw = onnxcam.Explainer(model, method="hirescam").run(batch(2, model), top=2)["raw"]
    assert raw.shape == (2, 2, 8, 8)
    assert raw.any(axis=(2, 3)).all()


def test_one_picture_of_a_batch_has_a_box_of_its_own() -> None:
    model = yolov8()
    x = batch(2)
    expected = found("yolov8", model, x)
    together = Numbers(model, [Box(1), Box(2)], x).answer()
    rows = [[expected.detections(n, n + 1)[0][0]] for n in range(2)]
    assert together["cam_row/chosen"].tolist() == rows
    assert together["cam_target"].tolist() == [[1], [2]]


@pytest.mark.parametrize("make", [classifier, segmentation, text_lines])
def test_other_models_are_no_detectors(make: object) -> None:
    assert callable(make)
    model = make()
    assert isinstance(model, onnx.ModelProto)
    assert find_detections(Network(model)) is None
    with pytest.raises(TargetError, match="no detector of a known kind"):
        onnxcam.Explainer(model).run(
            np.zeros([1, *(d.dim_value for d in _dims(model)[1:])], np.float32), target="box"
        )


def _dims(model: onnx.ModelProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(model.graph.input[0].type.tensor_type.shape.dim)
