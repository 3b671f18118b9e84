"""Every method on every kind of model: it gives sound maps, or says what to do instead."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
from methods.kinds import COMMON, KINDS, SMALL, explainer, has_open_batch
from thinning import slow_but_one_in

import onnxcam
from onnxcam.errors import MethodError, OnnxCamError
from onnxcam.methods import methods
from onnxcam.runtime import Arrays, Runner

METHODS = [method.name for method in methods()]
BAKED = {method.name for method in methods() if method.bakes}
CHOSEN = [
    *("ablationcam", "cam", "eigencam", "finercam", "fullgrad", "gradcam", "guidedgradcam"),
    *("integratedgradients", "lrp", "reciprocam", "scorecam", "shapleycam"),
]
"""At least one method of each way of working, for the rarer kinds."""

ON_PICTURE = {"guidedgradcam", "refinecam"}
"""Their maps have the picture's size, though they look at a layer."""

ONE_BY_ONE = [*COMMON, "detector"]
"""Kinds of which each target is explained on its own as well."""

_CONVOLUTIONAL = [kind for kind in KINDS if kind != "transformer"]
_REFUSED = [
    ("chefer legrad rollout", _CONVOLUTIONAL, "no attention .* choose another method, gradcam say"),
    ("vitreciprocam", _CONVOLUTIONAL, "needs tokens, .* use reciprocam"),
    (
        "cam",
        [
            *("transformer", "detector", "batch of one", "quantised", "segmentation", "sequence"),
            "second input",
        ],
        "nothing but an average over positions and linear layers .* gradcam is the same",
    ),
    (
        "lrp",
        ["transformer", "features channels last"],
        r"\(LayerNormalization\) has no rule .* choose integratedgradients",
    ),
    ("finercam", ["detector", "segmentation"], "compares classes, .* choose gradcam"),
]
REFUSALS = {
    (name, kind): words for names, kinds, words in _REFUSED for name in names.split()
    for kind in kinds
}  # fmt: skip
PAIRS = [
    (name, kind)
    for kind in KINDS
    for name in (METHODS if kind in COMMON else CHOSEN)
    if (name, kind) not in REFUSALS
]


@cache
def model_of(kind: str) -> onnx.ModelProto:
    return KINDS[kind].make()


@cache
def feeds_of(kind: str) -> Arrays:
    return KINDS[kind].feeds(model_of(kind))


@cache
def own_answer(kind: str) -> Arrays:
    """What the model answers as it is."""
    return Runner(model_of(kind)).run(feeds_of(kind))


@cache
def explained(name: str, kind: str) -> tuple[onnxcam.Explainer, Arrays]:
    made = explainer(model_of(kind), kind, name)
    return made, made.run(feeds_of(kind), top=KINDS[kind].top)


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_every_method_is_tried() -> None:
    assert set(CHOSEN) <= set(METHODS)
    assert set(SMALL) <= set(METHODS)
    on_common = {(name, kind) for name in METHODS for kind in COMMON}
    assert on_common <= set(PAIRS) | set(REFUSALS)


@pytest.mark.parametrize(("name", "kind"), slow_but_one_in(2, PAIRS))
def test_maps(name: str, kind: str) -> None:
    """Of the right type and shape, the same again, and the same one target or picture at a time."""
    made, found = explained(name, kind)
    feeds, top, raw = feeds_of(kind), KINDS[kind].top, found["raw"]
    assert raw.dtype == np.float32
    assert raw.shape[:2] == (len(feeds[made.image.name]), top)
    size = made.image.size if name in ON_PICTURE else made.layer.features.size
    assert raw.shape[2:] == tuple(size)
    assert np.isfinite(raw).all()
    assert raw.any()
    again = made.run(feeds, top=top)
    assert np.array_equal(again["raw"], raw)
    for k in range(top) if kind in ONE_BY_ONE else ():
        alone = made.run(feeds, KINDS[kind].one(found, k))
        assert np.array_equal(alone["target"][:, 0], found["target"][:, k])
        assert_alike(alone["raw"][:, 0], raw[:, k])
    if has_open_batch(model_of(kind)):
        picture = {n: x[1:] if n == made.image.name else x for n, x in feeds.items()}
        assert_alike(made.run(picture, top=top)["raw"][0], raw[1])


@pytest.mark.parametrize(("name", "kind"), [pair for pair in PAIRS if pair[0] in BAKED])
def test_the_rewritten_model(name: str, kind: str) -> None:
    """Valid, with the model's own answers as they were, and the same maps."""
    _, found = explained(name, kind)
    top = KINDS[kind].top
    made = onnxcam.rewrite(model_of(kind), name, top=top, **SMALL.get(name, {}))
    onnx.checker.check_model(made, full_check=True)
    onnx.shape_inference.infer_shapes(made, strict_mode=True, data_prop=True)
    answer = Runner(made).run(feeds_of(kind))
    assert_alike(answer["cam"], found["raw"])
    for output, expected in own_answer(kind).items():
        exact = KINDS[kind].exact
        np.testing.assert_allclose(answer[output], expected, rtol=exact, atol=exact)


@pytest.mark.parametrize("name", sorted(set(METHODS) & BAKED))
def test_a_rewritten_model_takes_pictures_of_other_sizes(name: str) -> None:
    kind = "open sizes"
    if (name, kind) in REFUSALS:
        return
    made = onnxcam.rewrite(model_of(kind), name)
    for side in (24, 16):
        cam = Runner(made).run(KINDS[kind].feeds(model_of(kind), 1, side))["cam"]
        assert cam.shape[2:] in ((side, side), (side // 2, side // 2))
        assert np.isfinite(cam).all()
        assert cam.any()


@pytest.mark.parametrize(("name", "kind"), list(REFUSALS))
def test_refusals(name: str, kind: str) -> None:
    """One line that names the way out; the same where the model is to be rewritten."""
    with pytest.raises(OnnxCamError, match=REFUSALS[name, kind]) as caught:
        explained(name, kind)
    assert len(str(caught.value).splitlines()) == 1
    if name in BAKED:
        with pytest.raises(OnnxCamError, match=REFUSALS[name, kind]):
            onnxcam.rewrite(model_of(kind), name, top=KINDS[kind].top)


@pytest.mark.parametrize("name", sorted(set(METHODS) - BAKED))
def test_searches_cannot_live_in_the_file(name: str) -> None:
    with pytest.raises(MethodError, match="onnxcam methods lists those that bake"):
        onnxcam.rewrite(model_of("convolutions"), name)


def test_regions_have_no_order() -> None:
    kind = "segmentation"
    with pytest.raises(onnxcam.TargetError, match=r"tells classes 0 to 3 apart .*'region:3'"):
        onnxcam.Explainer(model_of(kind)).run(feeds_of(kind), top=2)
