"""A detection of high rank is refused before the graph that would look for it is made."""

from __future__ import annotations

import pytest
from graphs import photo
from targets.boxes.detectors import FORMS, batch, yolov8
from targets.boxes.reference import found
from targets.numbers import Numbers

from onnxcam import Explainer
from onnxcam.errors import TargetError
from onnxcam.graph.emission import Emission
from onnxcam.targets import Box
from onnxcam.targets.boxes.box import _COUNTED, _MANY, NOTHING

SETTINGS = {"scale": 1 / 64, "mean": 2.0, "resize": "pad"}


@pytest.mark.parametrize("form", FORMS)
def test_detections_are_counted(form: str) -> None:
    model = FORMS[form]()
    x = batch(2, model)
    expected = found(form, model, x)
    counted = Numbers(model, Box(what=_COUNTED), x).answer()["cam_score"]
    for n in range(2):
        sure = [expected.sure[n, row, cls] for row, cls in expected.detections(n)]
        assert counted[n, 0] == sum(one >= NOTHING for one in sure)


def test_few_nodes_are_emitted_for_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    emitted = 0
    op = Emission.op

    def counted(self: Emission, *inputs: object, **attrs: object) -> object:
        nonlocal emitted
        emitted += 1
        return op(self, *inputs, **attrs)

    explainer = Explainer(yolov8(), "hirescam", preprocess=SETTINGS)
    monkeypatch.setattr(Emission, "op", counted)
    with pytest.raises(TargetError, match="no detection 900 in"):
        explainer.explain(photo(32, 32), target="box:900")
    assert 0 < emitted < 200


def test_what_is_there_is_explained_whether_it_was_counted_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranks = (0, 1, 2)
    plain = [_explained(rank) for rank in ranks]
    assert max(ranks) < _MANY
    monkeypatch.setattr("onnxcam.targets.boxes.box._MANY", 0)
    assert [_explained(rank) for rank in ranks] == plain


def _explained(rank: int) -> tuple[object, ...]:
    explainer = Explainer(yolov8(), "hirescam", preprocess=SETTINGS)
    target = explainer.explain(photo(32, 32), target=Box(rank=rank)).target
    return target.index, target.score, target.box
