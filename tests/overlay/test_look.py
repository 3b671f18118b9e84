"""What looks and views take, and what a style brings along."""

from __future__ import annotations

import pytest

from onnxcam.errors import OnnxCamError
from onnxcam.overlay import STYLES, Look, View
from onnxcam.overlay.drawing import PAINTERS


def test_every_style_has_a_function() -> None:
    assert list(PAINTERS) == list(STYLES)


@pytest.mark.parametrize(
    ("look", "weights"),
    [
        (Look(), (0.5, 0.5)),
        (Look(alpha=0.25), (0.25, 0.75)),
        (Look(alpha=0.25, beta=0.5), (0.25, 0.5)),
        (Look("sum"), (0.4, 1.0)),
        (Look("sum", alpha=0.0), (0.0, 1.0)),
    ],
)
def test_weights_left_out_are_the_styles(look: Look, weights: tuple[float, float]) -> None:
    assert look.weights == weights


def test_fusion_brings_its_colours_and_threshold_along() -> None:
    assert (Look("fusion").colors, Look("fusion").cut) == ("rainbow", 0.3)
    assert (Look("fusion", "jet", threshold=0.0).colors, Look("fusion", threshold=0.0).cut) == (
        "jet",
        0.0,
    )
    assert (Look().colors, Look().cut) == ("jet", 0.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"style": "bland"}, "no style 'bland'; did you mean 'blend'"),
        ({"colormap": "jett"}, "no colormap 'jett'; did you mean 'jet'"),
        ({"base": "grey"}, "'gray'"),
        ({"alpha": -0.1}, "alpha -0.1 is not between 0 and 1"),
        ({"alpha": float("nan")}, "alpha nan"),
        ({"beta": 1.5}, "beta"),
        ({"threshold": 2.0}, "threshold"),
        ({"gamma": 0.0}, "gamma"),
        ({"gamma": float("inf")}, "gamma"),
        ({"enlarge": 0}, "enlarge"),
        ({"enlarge": 2.5}, "enlarge"),
        ({"enlarge": 1000}, "enlarge 1000 is not a whole number from 1 to 16"),
    ],
)
def test_looks_that_mean_nothing_are_refused(wrong: dict, words: str) -> None:
    with pytest.raises(OnnxCamError, match=words):
        Look(**wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"layout": "slices"}, "'slice'"),
        ({"axis": 3}, "axis 3"),
        ({"rotate": 0.5}, "rotate 0.5 is not a whole number"),
        ({"index": "last"}, "index last"),
        ({"count": 0}, "count 0"),
        ({"window": (3.0, 1.0)}, "window 3 to 1"),
    ],
)
def test_views_that_mean_nothing_are_refused(wrong: dict, words: str) -> None:
    with pytest.raises(OnnxCamError, match=words):
        View(**wrong)
