"""Parameters of methods: what is no value for one is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from methods.kinds import KINDS, SMALL

import onnxcam
from onnxcam.errors import MethodError, OnnxCamError
from onnxcam.methods import find_method, methods

ON_TOKENS = {"chefer", "legrad", "rollout", "vitreciprocam"}
UNFIT = [None, "word", 2.5, -1, 0, float("nan"), float("inf"), True, [1], (1, 2), np.float32(2)]


@pytest.mark.parametrize(
    ("name", "parameter"), [(one.name, name) for one in methods() for name in one.parameters()]
)
def test_odd_parameters(name: str, parameter: str) -> None:
    """A method refuses them, or gives finite maps."""
    kind = KINDS["transformer" if name in ON_TOKENS else "convolutions"]
    model = kind.make()
    feeds = kind.feeds(model, count=1)
    small = {key: value for key, value in SMALL.get(name, {}).items() if key != parameter}
    for value in UNFIT:
        try:
            made = onnxcam.Explainer(model, name, **small, **{parameter: value})
            raw = made.run(feeds)["raw"]
        except OnnxCamError:
            continue
        assert np.isfinite(raw).all(), value


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("rise", {"samples": 2.5}, "samples 2.5 is not a whole number"),
        ("rise", {"seed": -1}, "seed -1 is not from 0 on"),
        ("legrad", {"last": "two"}, "last 'two' is not a whole number or None"),
        ("occlusion", {"window": [1.5]}, "is not a whole number or a list of those"),
        ("occlusion", {"baseline": float("nan")}, "it must be finite"),
        ("vitreciprocam", {"cls_token": 3}, "cls_token 3 is not True or False"),
        ("refinecam", {"base": 3}, "base 3 is not a word"),
        ("fem", {"k": "x"}, "k 'x' is not a number"),
    ],
)
def test_a_parameter_of_another_type(name: str, given: dict[str, object], words: str) -> None:
    with pytest.raises(MethodError, match=words):
        find_method(name, **given)
